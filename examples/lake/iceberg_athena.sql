-- In mode "current" a row is an item as it is now; the namespace is the database.
SELECT status, count(*) AS items FROM "orders_lake"."orders" GROUP BY status ORDER BY status;
-- As it was an hour ago.
SELECT status, count(*) AS items
FROM "orders_lake"."orders" FOR TIMESTAMP AS OF (current_timestamp - interval '1' hour)
GROUP BY status
ORDER BY status;
