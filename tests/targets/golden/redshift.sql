-- current: made, columns added and widened, rows merged, replayed, swept, read

SELECT table_name, column_name, data_type FROM svv_redshift_columns WHERE schema_name = 'lake' AND table_name IN ('_tailrace_ledger', 'orders') ORDER BY table_name, ordinal_position;
SELECT format, source, mode, keys, incarnation, applied_through, through_ms, version, fence FROM "lake"."_tailrace_tables" WHERE name = 'orders';
SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= (SELECT applied_through FROM "lake"."_tailrace_tables" WHERE name = 'orders') ORDER BY number;
SELECT substring(attribute, 1, 15000), "tag", name, kind, scale, int64, whole_digits, number_scale FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' ORDER BY place;
SELECT DISTINCT table_name FROM svv_redshift_columns WHERE schema_name = 'lake' AND table_name LIKE '_tailrace_stage_1c168adb00d2_%';

CREATE TABLE IF NOT EXISTS "lake"."_tailrace_tables" ("name" VARCHAR(65535), "format" BIGINT, "source" VARCHAR(65535), "mode" VARCHAR(65535), "keys" VARCHAR(65535), "incarnation" VARCHAR(65535), "applied_through" BIGINT, "through_ms" BIGINT, "version" BIGINT, "fence" BIGINT);
CREATE TABLE IF NOT EXISTS "lake"."_tailrace_columns" ("table_name" VARCHAR(65535), "place" BIGINT, "attribute" VARCHAR(65535), "tag" VARCHAR(65535), "name" VARCHAR(65535), "kind" VARCHAR(65535), "scale" BIGINT, "int64" BOOLEAN, "whole_digits" BIGINT, "number_scale" BIGINT);
CREATE TABLE IF NOT EXISTS "lake"."_tailrace_ledger" ("table_name" VARCHAR(65535), "number" BIGINT, "segment" VARCHAR(65535), "epoch" BIGINT, "sha256" VARCHAR(65535), "row_count" BIGINT, "quarantined" BIGINT, "bytes" BIGINT, "applied_ms" BIGINT, "through_ms" BIGINT, "lag_ms_p50" BIGINT, "lag_ms_p99" BIGINT, "fence" BIGINT);

LOCK "lake"."_tailrace_tables";
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders') = 0 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
CREATE TABLE "lake"."orders" ("pk" VARCHAR(2048), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
CREATE TABLE "lake"."_tailrace_tombstones_1c168adb00d2" (key VARCHAR(65535), pos VARCHAR(64));
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 2048, NULL, NULL, NULL), ('orders', 1, 'x', 'N', 'x', 'int64', 0, TRUE, 1, 0), ('orders', 2, 'y', 'NS', 'y', 'list_int64', 0, TRUE, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" (c0 VARCHAR(2048), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" FROM 's3://lake/golden/stage/055ad0d1c122fff7808ac089/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

LOCK "lake"."orders";
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 1) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000010' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_4818382d2527".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_1_4818382d2527".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_4818382d2527".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000010' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_1_4818382d2527".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_1_4818382d2527".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_4818382d2527".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_4818382d2527";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 1, 'changes/1', 1, '0000000000000000000000000000000000000000000000000000000000000000', 4, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 2, applied_through = 1, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 2) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at" FROM "lake"."orders";
DROP TABLE "lake"."orders";
ALTER TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" RENAME TO "orders";
DELETE FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' AND place = 1;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 1, 'x', 'N', 'x', 'decimal', 2, FALSE, 1, 2);
UPDATE "lake"."_tailrace_tables" SET version = 3 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 3) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ADD COLUMN "m" SUPER;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 3, 'm', 'M', 'm', 'json', 0, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 4 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" (c0 VARCHAR(2048), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" FROM 's3://lake/golden/stage/ec7dd368a75eda3f0b91adc0/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 4) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000020' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000020' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_7faeb44c3ee6";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 2, 'changes/2', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 5, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 5) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at" FROM "lake"."orders";
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 1, 'x', 'N', 'x', 'number_text', 0, FALSE, 1, 130);
UPDATE "lake"."_tailrace_tables" SET version = 6 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 6) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
DELETE FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' AND place = 2;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 2, 'y', 'NS', 'y', 'list_decimal', 1, FALSE, 1, 1);
UPDATE "lake"."_tailrace_tables" SET version = 7 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 7) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ADD COLUMN "x__s" VARCHAR(256);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 4, 'x', 'S', 'x__s', 'string', 256, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 8 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" FROM 's3://lake/golden/stage/35eb21fc49fd097e89477a50/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 8) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000040' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_4_addd9c76e73e".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_4_addd9c76e73e".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_4_addd9c76e73e".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000040' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_4_addd9c76e73e".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_4_addd9c76e73e".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_4_addd9c76e73e".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_addd9c76e73e";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 4, 'changes/4', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 9, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" FROM 's3://lake/golden/stage/3f6f06567f816203da69682c/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 9) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000030' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_3_1b89d895fcb0".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_3_1b89d895fcb0".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_3_1b89d895fcb0".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000030' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_3_1b89d895fcb0".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_3_1b89d895fcb0".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_3_1b89d895fcb0".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_1b89d895fcb0";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 3, 'changes/3', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 10, applied_through = 4, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 10) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 2, 'y', 'NS', 'y', 'list_number_text', 0, FALSE, 1, 130);
UPDATE "lake"."_tailrace_tables" SET version = 11 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" FROM 's3://lake/golden/stage/b30ef67b32d7c48c98e649cc/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 11) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000050' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_5_bd2817c8148d".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_5_bd2817c8148d".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_5_bd2817c8148d".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000050' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_5_bd2817c8148d".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_5_bd2817c8148d".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_5_bd2817c8148d".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_bd2817c8148d";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 5, 'changes/5', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 12, applied_through = 5, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" FROM 's3://lake/golden/stage/c184437e018b2a2410e5dd44/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 12) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|0|0000000000000000000000000000000000000000' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_6_a81300935cf5".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_6_a81300935cf5".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_6_a81300935cf5".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|0|0000000000000000000000000000000000000000' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_6_a81300935cf5".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_6_a81300935cf5".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_6_a81300935cf5".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_a81300935cf5";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 6, 'changes/6', 1, '0000000000000000000000000000000000000000000000000000000000000000', 2, 0, 1, 1790000000000, NULL, NULL, NULL, 0);
UPDATE "lake"."_tailrace_tables" SET version = 13, applied_through = 6, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" FROM 's3://lake/golden/stage/bb92bd758a10b08da21a74a1/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 13) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000011' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_7_bb4949bf0412".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_7_bb4949bf0412".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_7_bb4949bf0412".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000011' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_7_bb4949bf0412".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_7_bb4949bf0412".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_7_bb4949bf0412".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_bb4949bf0412";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 7, 'changes/7', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 14, applied_through = 7, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 14) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
DELETE FROM "lake"."orders" WHERE _tr_pos < '0002|0|';
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" WHERE pos < '0002|0|';
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 8, 'changes/8', 2, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, 1, 1790000000000, NULL, NULL, NULL, 0);
UPDATE "lake"."_tailrace_tables" SET version = 15, applied_through = 8, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT number, segment, epoch, sha256, row_count, quarantined, bytes, applied_ms, through_ms, lag_ms_p50, lag_ms_p99, fence FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' ORDER BY applied_ms DESC, number DESC LIMIT 100;
SELECT count(*) FROM "lake"."orders";

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders"') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders") q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\')))) q;

-- soft_delete: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" VARCHAR(2048), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_deleted BOOLEAN, _tr_expired BOOLEAN, _tr_image_pos VARCHAR(64)) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'soft_delete', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa" (c0 VARCHAR(2048), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa" FROM 's3://lake/golden/stage/783461ba66177e0184d5fe7f/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_ce9ba3d919aa";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_deleted", "_tr_expired", "_tr_image_pos" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec" (c0 VARCHAR(2048), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec" FROM 's3://lake/golden/stage/70db5f5a7a5ae671ecbbf83d/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_3f26089b1aec";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_deleted", "_tr_expired", "_tr_image_pos" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728" FROM 's3://lake/golden/stage/a7a8a700a67d7da1b9e76e67/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_85000eea4728";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd" FROM 's3://lake/golden/stage/bde8738ef41c4e4a01c3f0fb/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_57e8261e0ebd";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a" FROM 's3://lake/golden/stage/f70618baea9a4c80655ef0d6/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_9280f572ef0a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9" FROM 's3://lake/golden/stage/0479c883548cf2a497ac6d65/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_521ef14d68c9";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40" FROM 's3://lake/golden/stage/52e7f3624a494c89e950096f/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_0801d0b11a40";

UPDATE "lake"."orders" SET _tr_deleted = TRUE, _tr_op = 'd', _tr_ts = NULL, _tr_expired = FALSE, _tr_pos = '0002|0|0000000000000000000000000000000000000000', _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' WHERE _tr_pos < '0002|0|' AND NOT _tr_deleted;

SELECT count(*) FROM "lake"."orders" WHERE NOT _tr_deleted;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (NOT _tr_deleted)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (NOT _tr_deleted)) q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\''))) AND (NOT _tr_deleted)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\'))) AND (NOT _tr_deleted)) q;

-- changelog: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" VARCHAR(2048), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_expired BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'changelog', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_a548f2b8510a" (c0 VARCHAR(2048), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_a548f2b8510a" FROM 's3://lake/golden/stage/3ab99a49bfa3ccff6a6b6720/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_a548f2b8510a") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_1_a548f2b8510a" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_a548f2b8510a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_expired" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_cae4d74320a4" (c0 VARCHAR(2048), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_cae4d74320a4" FROM 's3://lake/golden/stage/8b8af9357ed737f92d8e3a20/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_cae4d74320a4") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_2_cae4d74320a4" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_cae4d74320a4";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_expired" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_10d295bc00c1" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_4_10d295bc00c1" FROM 's3://lake/golden/stage/fd41f90cdc5caa233493aa29/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_10d295bc00c1") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_4_10d295bc00c1" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_10d295bc00c1";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_687f3370efc1" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_3_687f3370efc1" FROM 's3://lake/golden/stage/c6a83f603a93fc438684caa0/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_687f3370efc1") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_3_687f3370efc1" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_687f3370efc1";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_af5a767ffeda" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_5_af5a767ffeda" FROM 's3://lake/golden/stage/6207465be2c40b7b77416670/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_af5a767ffeda") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_5_af5a767ffeda" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_af5a767ffeda";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_3fb3f205beda" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_6_3fb3f205beda" FROM 's3://lake/golden/stage/3e462326eb8a3f1ab1c73be3/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_3fb3f205beda") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_6_3fb3f205beda" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_3fb3f205beda";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_259e8e1a8b05" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_7_259e8e1a8b05" FROM 's3://lake/golden/stage/cc97e6d41abf043a0e6f7eb3/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_259e8e1a8b05") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_7_259e8e1a8b05" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000011' AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_259e8e1a8b05";

INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_pos, _tr_loaded_at, _tr_expired) SELECT "pk", 'd', '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2026-09-21 14:13:20.000000', FALSE FROM (SELECT "pk", _tr_op, _tr_pos, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS newest FROM "lake"."orders") x WHERE newest = 1 AND _tr_pos < '0002|0|' AND _tr_op <> 'd';

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders") x WHERE _tr_newest = 1 AND _tr_op <> ''d''') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders") x WHERE _tr_newest = 1 AND _tr_op <> 'd') q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\''))) x WHERE _tr_newest = 1 AND _tr_op <> ''d''') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\'))) x WHERE _tr_newest = 1 AND _tr_op <> 'd') q;

-- history: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" VARCHAR(2048), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_valid_from TIMESTAMP, _tr_valid_to TIMESTAMP, _tr_is_current BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
CREATE TABLE "lake"."_tailrace_tombstones_1c168adb00d2" (key VARCHAR(65535), pos VARCHAR(64), moment TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'history', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5" (c0 VARCHAR(2048), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5" FROM 's3://lake/golden/stage/ee73a7f2050bf733fdd08e88/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5" s JOIN "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_9d4fdcb244e5";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_valid_from", "_tr_valid_to", "_tr_is_current" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c" (c0 VARCHAR(2048), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c" FROM 's3://lake/golden/stage/24832aa8e35e7f8990bb55af/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c" s JOIN "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_853a1f2e821c";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_valid_from", "_tr_valid_to", "_tr_is_current" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d" FROM 's3://lake/golden/stage/5be7c12be655a8fac197b20d/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d" s JOIN "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_015c73e8121d";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e" FROM 's3://lake/golden/stage/4e518441bec07617f314c5cf/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e" s JOIN "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_8544529fda0e";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8" FROM 's3://lake/golden/stage/ae3868999e96f20e7513435a/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8" s JOIN "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_177cf9589ba8";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188" FROM 's3://lake/golden/stage/f77b7d08c9bd3fb981daefe5/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188" s JOIN "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_33c687362188";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe" (c0 VARCHAR(2048), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(256), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe" FROM 's3://lake/golden/stage/6194307e4a5e55e474644fde/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe" s JOIN "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_d699e732e6fe";

INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT "pk", '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2023-11-20 17:06:40.000000' FROM "lake"."orders" WHERE _tr_is_current AND _tr_pos < '0002|0|';
UPDATE "lake"."orders" SET _tr_valid_to = TIMESTAMP '2023-11-20 17:06:40.000000', _tr_is_current = FALSE WHERE _tr_is_current AND _tr_pos < '0002|0|';

SELECT count(*) FROM "lake"."orders" WHERE _tr_is_current;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (_tr_is_current)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (_tr_is_current)) q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\''))) AND (_tr_is_current)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\'))) AND (_tr_is_current)) q;

-- a key of S and S

CREATE TABLE "lake"."orders" ("pk" VARCHAR(2048), "sk" VARCHAR(1024), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk", "sk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 2048, NULL, NULL, NULL), ('orders', 1, 'sk', 'S', 'sk', 'string', 1024, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" (c0 VARCHAR(2048), c1 VARCHAR(1024), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" FROM 's3://lake/golden/stage/dd548e94c2ef8a605a32950d/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c0) AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c1 AND length("orders"."sk") = length("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c1) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_0e7886a567ac".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c0) || ("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c0) || ("_tailrace_stage_1c168adb00d2_1_0e7886a567ac".c1)) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_0e7886a567ac".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"."sk" = s.c1 AND length("orders"."sk") = length(s.c1);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_0e7886a567ac";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 1, 'changes/1', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" (c0 VARCHAR(2048), c1 VARCHAR(1024), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" FROM 's3://lake/golden/stage/c54028195a789bfd4657b753/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_01e5892e6098".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c0) AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_2_01e5892e6098".c1 AND length("orders"."sk") = length("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c1) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_01e5892e6098".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c0) || ("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c0) || ("_tailrace_stage_1c168adb00d2_2_01e5892e6098".c1)) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_01e5892e6098".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"."sk" = s.c1 AND length("orders"."sk") = length(s.c1);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_01e5892e6098";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 2, 'changes/2', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 3, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 3, 'changes/3', 2, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, 1, 1790000000000, NULL, NULL, NULL, 0);
UPDATE "lake"."_tailrace_tables" SET version = 4, applied_through = 3, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\'') AND "sk" = ''it''''s \\\\'' AND length("sk") = length(''it''''s \\\\'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = 'it''s \\' AND length("pk") = length('it''s \\') AND "sk" = 'it''s \\' AND length("sk") = length('it''s \\')))) q;

-- a key of B

CREATE TABLE "lake"."orders" ("pk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE EVEN;
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'B', 'pk', 'binary', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" (c0 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" FROM 's3://lake/golden/stage/b5ca463dc354382d00f8dbe7/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_1258e78a3326".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_1258e78a3326".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex("_tailrace_stage_1c168adb00d2_1_1258e78a3326".c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex("_tailrace_stage_1c168adb00d2_1_1258e78a3326".c0))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_1258e78a3326".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex(s.c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex(s.c0)));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT upper(to_hex(s.c0)), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" (c0 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" FROM 's3://lake/golden/stage/53f12444e4ffdb0eff618ee8/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex("_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex("_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".c0))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex(s.c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex(s.c0)));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT upper(to_hex(s.c0)), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb";

UNLOAD ('SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = FROM_HEX(''00ff'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = FROM_HEX('00ff')))) q;

-- a key of N and B

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'N', 'pk', 'decimal', 1, FALSE, 2, 1), ('orders', 1, 'sk', 'B', 'sk', 'binary', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" FROM 's3://lake/golden/stage/7ea6b45af688a86fbc964f68/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c1)))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" FROM 's3://lake/golden/stage/a713d3776bea0c777efaa3e7/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c1)))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa";

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff')))) q;

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_deleted BOOLEAN, _tr_expired BOOLEAN, _tr_image_pos VARCHAR(64)) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'soft_delete', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" FROM 's3://lake/golden/stage/0ee7779dff88a2f80cb14d8d/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" s WHERE s.is_top AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "sk" = s.c1, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" s WHERE s.is_image AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" i ON i.is_image AND i.c0 = s.c0 AND i.c1 = s.c1 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" FROM 's3://lake/golden/stage/3ffa1b323fec5ba039155ea3/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" s WHERE s.is_top AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "sk" = s.c1, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" s WHERE s.is_image AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" i ON i.is_image AND i.c0 = s.c0 AND i.c1 = s.c1 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7";

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff''))) AND (NOT _tr_deleted)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff'))) AND (NOT _tr_deleted)) q;

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_expired BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'changelog', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a" FROM 's3://lake/golden/stage/55185ae277d3bfa14d2fe861/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08" FROM 's3://lake/golden/stage/870146a01e8bb3b90f4969bc/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08";

INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_pos, _tr_loaded_at, _tr_expired) SELECT "pk", "sk", 'd', '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2026-09-21 14:13:20.000000', FALSE FROM (SELECT "pk", "sk", _tr_op, _tr_pos, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS newest FROM "lake"."orders") x WHERE newest = 1 AND _tr_pos < '0002|0|' AND _tr_op <> 'd';

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff''))) x WHERE _tr_newest = 1 AND _tr_op <> ''d''') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff'))) x WHERE _tr_newest = 1 AND _tr_op <> 'd') q;

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_valid_from TIMESTAMP, _tr_valid_to TIMESTAMP, _tr_is_current BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'history', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" FROM 's3://lake/golden/stage/a4674dbb89f13224897cecf2/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, k1 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"."sk" AS k1, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1) UNION ALL SELECT k0, k1, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c1 AS k1, CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AS key, length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.c1 AS k1, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length(b.key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" AS SELECT k0, k1, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, k1 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, k1 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(v.k1))), v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s JOIN "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" v ON s.c0 = v.k0 AND s.c1 = v.k1 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" FROM 's3://lake/golden/stage/e4a1141140fee15f0e8244c4/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, k1 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"."sk" AS k1, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1) UNION ALL SELECT k0, k1, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c1 AS k1, CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AS key, length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.c1 AS k1, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length(b.key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" AS SELECT k0, k1, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, k1 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, k1 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(v.k1))), v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s JOIN "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" v ON s.c0 = v.k0 AND s.c1 = v.k1 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112";

INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST("pk" AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("pk" AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("sk"))), '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2023-11-20 17:06:40.000000' FROM "lake"."orders" WHERE _tr_is_current AND _tr_pos < '0002|0|';

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff''))) AND (_tr_is_current)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff'))) AND (_tr_is_current)) q;

-- a key of N

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "N"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'N', 'pk', 'decimal', 1, FALSE, 2, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" (c0 DECIMAL(38, 1), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" FROM 's3://lake/golden/stage/59eb57cf5b1ffa852a99cba6/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_235d81e30a16".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_235d81e30a16".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_235d81e30a16".c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_235d81e30a16".c0 AS VARCHAR(65535)), '0'), '.')) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_235d81e30a16".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" (c0 DECIMAL(38, 1), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" FROM 's3://lake/golden/stage/1480bdb3d44540b58d9b338f/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".c0 AS VARCHAR(65535)), '0'), '.')) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2";

UNLOAD ('SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1))))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1))))) q;

-- every type

CREATE TABLE "lake"."orders" ("pk" VARCHAR(2048), "b" VARBYTE(1048576), "bs" SUPER, "d" DECIMAL(38, 2), "l" SUPER, "m" SUPER, "n" BIGINT, "ns" SUPER, "o" BOOLEAN, "s" VARCHAR(256), "ss" SUPER, "t" VARCHAR(64), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 2048, NULL, NULL, NULL), ('orders', 1, 'b', 'B', 'b', 'binary', 0, NULL, NULL, NULL), ('orders', 2, 'bs', 'BS', 'bs', 'list_binary', 0, NULL, NULL, NULL), ('orders', 3, 'd', 'N', 'd', 'decimal', 2, FALSE, 1, 2), ('orders', 4, 'l', 'L', 'l', 'json', 0, NULL, NULL, NULL), ('orders', 5, 'm', 'M', 'm', 'json', 0, NULL, NULL, NULL), ('orders', 6, 'n', 'N', 'n', 'int64', 0, TRUE, 1, 0), ('orders', 7, 'ns', 'NS', 'ns', 'list_decimal', 1, FALSE, 1, 1), ('orders', 8, 'o', 'BOOL', 'o', 'bool', 0, NULL, NULL, NULL), ('orders', 9, 's', 'S', 's', 'string', 256, NULL, NULL, NULL), ('orders', 10, 'ss', 'SS', 'ss', 'list_string', 0, NULL, NULL, NULL), ('orders', 11, 't', 'N', 't', 'number_text', 0, FALSE, 0, 130);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" (c0 VARCHAR(2048), c1 VARBYTE(1048576), c2 VARBYTE(1048576), c3 DECIMAL(38, 2), c4 VARBYTE(1048576), c5 VARBYTE(1048576), c6 BIGINT, c7 VARBYTE(1048576), c8 BOOLEAN, c9 VARCHAR(256), c10 VARBYTE(1048576), c11 VARCHAR(64), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" FROM 's3://lake/golden/stage/dfe28cf03c10d69b95a3e217/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_f92171b0b273".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_1_f92171b0b273".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_f92171b0b273".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_1_f92171b0b273".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_1_f92171b0b273".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_f92171b0b273".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "b", "bs", "d", "l", "m", "n", "ns", "o", "s", "ss", "t", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.c3, JSON_PARSE(s.c4), JSON_PARSE(s.c5), s.c6, JSON_PARSE(s.c7), s.c8, s.c9, JSON_PARSE(s.c10), s.c11, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_f92171b0b273";

UNLOAD ('SELECT "pk" AS "pk", "b" AS "b", JSON_SERIALIZE_TO_VARBYTE("bs") AS "bs", "d" AS "d", JSON_SERIALIZE_TO_VARBYTE("l") AS "l", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "n" AS "n", JSON_SERIALIZE_TO_VARBYTE("ns") AS "ns", "o" AS "o", "s" AS "s", JSON_SERIALIZE_TO_VARBYTE("ss") AS "ss", "t" AS "t", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders"') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

