-- In mode "current" a row is an item as it is now.
SELECT status, count(*) AS items FROM delta_scan('FOLDER') GROUP BY status ORDER BY status;
