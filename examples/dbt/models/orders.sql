-- The newest change of each key, by Tailrace's own order of changes; a deleted item has no row.
SELECT * EXCLUDE (_tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired, dt, hr)
FROM (
    SELECT * FROM {{ source('lake', 'orders') }}
    QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY _tr_pos DESC) = 1
)
WHERE _tr_op <> 'd'
