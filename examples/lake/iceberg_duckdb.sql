-- In mode "current" a row is an item as it is now.
SELECT status, count(*) AS items FROM iceberg_scan('METADATA') GROUP BY status ORDER BY status;
