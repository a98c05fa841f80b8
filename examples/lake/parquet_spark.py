"""spark-submit parquet_spark.py files/orders/v1"""

import sys

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as f

spark = SparkSession.builder.getOrCreate()
changes = spark.read.option("mergeSchema", True).parquet(sys.argv[1])
newest_first = Window.partitionBy("order_id").orderBy(f.desc("_tr_pos"))
items = changes.withColumn("place", f.row_number().over(newest_first)).where("place = 1 AND _tr_op <> 'd'")
items.groupBy("status").count().orderBy("status").show()
