-- The newest change of each key says what the item is now; a key whose newest change is a delete is gone.
SELECT status, count(*) AS items
FROM (
    SELECT * FROM read_parquet('FOLDER/**/*.parquet', hive_partitioning = true, union_by_name = true)
    QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY _tr_pos DESC) = 1
)
WHERE _tr_op <> 'd'
GROUP BY status
ORDER BY status;
