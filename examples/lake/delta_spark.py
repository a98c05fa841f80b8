"""spark-submit --packages io.delta:delta-spark_2.12:3.3.2 delta_spark.py delta/orders"""

import sys

from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .getOrCreate()
)
spark.read.format("delta").load(sys.argv[1]).groupBy("status").count().orderBy("status").show()
