"""spark-submit --packages org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1 iceberg_spark.py METADATA"""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.read.format("iceberg").load(sys.argv[1]).groupBy("status").count().orderBy("status").show()
