SELECT status, count(*) AS items FROM {{ ref('orders') }} GROUP BY status
