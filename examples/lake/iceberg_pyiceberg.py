"""python iceberg_pyiceberg.py METADATA"""

import sys

from pyiceberg.table import StaticTable

statuses = StaticTable.from_metadata(sys.argv[1]).scan(selected_fields=("status",)).to_arrow()["status"].to_pylist()
for status in sorted(set(statuses)):
    print(status, statuses.count(status))
