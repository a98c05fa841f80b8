-- current: made, columns added and widened, rows merged, replayed, swept, read

SELECT table_name, column_name, data_type FROM svv_redshift_columns WHERE schema_name = 'lake' AND table_name IN ('_tailrace_ledger', 'orders') ORDER BY table_name, ordinal_position;

CREATE TABLE IF NOT EXISTS "lake"."_tailrace_tables" ("name" VARCHAR(65535), "format" BIGINT, "source" VARCHAR(65535), "mode" VARCHAR(65535), "keys" VARCHAR(65535), "incarnation" VARCHAR(65535), "applied_through" BIGINT, "through_ms" BIGINT, "version" BIGINT);
CREATE TABLE IF NOT EXISTS "lake"."_tailrace_columns" ("table_name" VARCHAR(65535), "place" BIGINT, "attribute" VARCHAR(65535), "tag" VARCHAR(65535), "name" VARCHAR(65535), "kind" VARCHAR(65535), "scale" BIGINT, "int64" BOOLEAN, "whole_digits" BIGINT, "number_scale" BIGINT);
CREATE TABLE IF NOT EXISTS "lake"."_tailrace_ledger" ("table_name" VARCHAR(65535), "number" BIGINT, "segment" VARCHAR(65535), "epoch" BIGINT, "sha256" VARCHAR(65535), "row_count" BIGINT, "quarantined" BIGINT, "bytes" BIGINT, "applied_ms" BIGINT, "through_ms" BIGINT, "lag_ms_p50" BIGINT, "lag_ms_p99" BIGINT);

LOCK "lake"."_tailrace_tables";
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders') = 0 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
CREATE TABLE "lake"."orders" ("pk" VARCHAR(65535), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
CREATE TABLE "lake"."_tailrace_tombstones_1c168adb00d2" (key VARCHAR(65535), pos VARCHAR(64));
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'current', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 0, NULL, NULL, NULL), ('orders', 1, 'x', 'N', 'x', 'int64', 0, TRUE, 1, 0), ('orders', 2, 'y', 'NS', 'y', 'list_int64', 0, TRUE, 1, 0);

SELECT DISTINCT table_name FROM svv_redshift_columns WHERE schema_name = 'lake' AND table_name LIKE '_tailrace_stage_1c168adb00d2_%';

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 VARCHAR(65535), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" FROM 's3://lake/golden/stage/9799fe803c536621735e3d7a/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

LOCK "lake"."orders";
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 1) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 1, 'changes/1', 1, '0000000000000000000000000000000000000000000000000000000000000000', 4, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 2, applied_through = 1, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT format, source, mode, keys, incarnation, applied_through, through_ms, version FROM "lake"."_tailrace_tables" WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 1 ORDER BY number;

SELECT substring(attribute, 1, 15000), "tag", name, kind, scale, int64, whole_digits, number_scale FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' ORDER BY place;

SELECT number, segment, epoch, sha256, row_count, quarantined, bytes, applied_ms, through_ms, lag_ms_p50, lag_ms_p99 FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' ORDER BY applied_ms DESC, number DESC LIMIT 100;

SELECT count(*) FROM "lake"."orders";

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

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 VARCHAR(65535), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" FROM 's3://lake/golden/stage/39397044625abbe326c84028/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 4) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 2, 'changes/2', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 5, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 2 ORDER BY number;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 5) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at" FROM "lake"."orders";
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 1, 'x', 'N', 'x', 'number_text', 0, FALSE, 1, 130);
UPDATE "lake"."_tailrace_tables" SET version = 6 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 6) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
DELETE FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' AND place = 2;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 2, 'y', 'NS', 'y', 'list_decimal', 1, FALSE, 1, 1);
UPDATE "lake"."_tailrace_tables" SET version = 7 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 7) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ADD COLUMN "x__s" VARCHAR(65535);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 4, 'x', 'S', 'x__s', 'string', 0, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 8 WHERE name = 'orders';

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" FROM 's3://lake/golden/stage/4b2562b29211450d1a54d39c/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 8) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_0a43b32f0b18".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_0a43b32f0b18".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_0a43b32f0b18".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_0a43b32f0b18".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_0a43b32f0b18".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_0a43b32f0b18".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 4, 'changes/4', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 9, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" FROM 's3://lake/golden/stage/aa733f0357a8c9c365fb52d6/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 9) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_050ce9c4b894".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_050ce9c4b894".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_050ce9c4b894".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_050ce9c4b894".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_050ce9c4b894".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_050ce9c4b894".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 3, 'changes/3', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 10, applied_through = 4, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 4 ORDER BY number;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 10) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 2, 'y', 'NS', 'y', 'list_number_text', 0, FALSE, 1, 130);
UPDATE "lake"."_tailrace_tables" SET version = 11 WHERE name = 'orders';

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" FROM 's3://lake/golden/stage/233b7eb902b280e0e339bbf0/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 11) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_ece34f11b674".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_ece34f11b674".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_ece34f11b674".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_ece34f11b674".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_ece34f11b674".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_ece34f11b674".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 5, 'changes/5', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 12, applied_through = 5, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 5 ORDER BY number;

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" FROM 's3://lake/golden/stage/6b109153b4882aeb87f346ee/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 12) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_4e68feecd945".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_4e68feecd945".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_4e68feecd945".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_4e68feecd945".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_4e68feecd945".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_4e68feecd945".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 6, 'changes/6', 1, '0000000000000000000000000000000000000000000000000000000000000000', 2, 0, 1, 1790000000000, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 13, applied_through = 6, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 6 ORDER BY number;

DROP TABLE IF EXISTS "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e";
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);
COPY "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" FROM 's3://lake/golden/stage/5e0ac05e43c7bb4815f74f4f/<content>.manifest' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 13) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_52d79b80184e".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_52d79b80184e".c0) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_52d79b80184e".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_52d79b80184e".c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length("_tailrace_stage_1c168adb00d2_52d79b80184e".c0) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_52d79b80184e".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0 AND length("_tailrace_tombstones_1c168adb00d2".key) = length(s.c0);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 7, 'changes/7', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 14, applied_through = 7, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 7 ORDER BY number;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 14) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
DELETE FROM "lake"."orders" WHERE _tr_pos < '0002|0|';
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" WHERE pos < '0002|0|';
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 8, 'changes/8', 2, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, 1, 1790000000000, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 15, applied_through = 8, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 8 ORDER BY number;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders"') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders") q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\')))) q;

-- soft_delete: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" VARCHAR(65535), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_deleted BOOLEAN, _tr_expired BOOLEAN, _tr_image_pos VARCHAR(64)) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'soft_delete', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 VARCHAR(65535), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

SELECT count(*) FROM "lake"."orders" WHERE NOT _tr_deleted;

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_deleted", "_tr_expired", "_tr_image_pos" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 VARCHAR(65535), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_deleted", "_tr_expired", "_tr_image_pos" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE s.is_top AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = JSON_PARSE(s.c2), "m" = JSON_PARSE(s.c3), "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE s.is_image AND "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END), JSON_PARSE(CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END), CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" i ON i.is_image AND i.c0 = s.c0 AND length(i.c0) = length(s.c0) WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0));

UPDATE "lake"."orders" SET _tr_deleted = TRUE, _tr_op = 'd', _tr_ts = NULL, _tr_expired = FALSE, _tr_pos = '0002|0|0000000000000000000000000000000000000000', _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' WHERE _tr_pos < '0002|0|' AND NOT _tr_deleted;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (NOT _tr_deleted)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (NOT _tr_deleted)) q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\''))) AND (NOT _tr_deleted)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\'))) AND (NOT _tr_deleted)) q;

-- changelog: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" VARCHAR(65535), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_expired BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'changelog', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1);

INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s;

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_expired" FROM "lake"."orders";

INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s;

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_expired" FROM "lake"."orders";

INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s;

INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s;

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s;

INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s;

INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos);

INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_pos, _tr_loaded_at, _tr_expired) SELECT "pk", 'd', '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2026-09-21 14:13:20.000000', FALSE FROM (SELECT "pk", _tr_op, _tr_pos, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS newest FROM "lake"."orders") x WHERE newest = 1 AND _tr_pos < '0002|0|' AND _tr_op <> 'd';

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders") x WHERE _tr_newest = 1 AND _tr_op <> ''d''') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders") x WHERE _tr_newest = 1 AND _tr_op <> 'd') q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\''))) x WHERE _tr_newest = 1 AND _tr_op <> ''d''') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", length("pk") ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\'))) x WHERE _tr_newest = 1 AND _tr_op <> 'd') q;

-- history: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" VARCHAR(65535), "x" BIGINT, "y" SUPER, _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_valid_from TIMESTAMP, _tr_valid_to TIMESTAMP, _tr_is_current BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
CREATE TABLE "lake"."_tailrace_tombstones_1c168adb00d2" (key VARCHAR(65535), pos VARCHAR(64), moment TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'history', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 VARCHAR(65535), c1 BIGINT, c2 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s JOIN "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w";

SELECT count(*) FROM "lake"."orders" WHERE _tr_is_current;

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST("x" AS DECIMAL(38, 2)) AS "x", "y", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_valid_from", "_tr_valid_to", "_tr_is_current" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 VARCHAR(65535), c1 DECIMAL(38, 2), c2 VARBYTE(1048576), c3 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s JOIN "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_anew" DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk") AS SELECT "pk", CAST(rtrim(rtrim(CAST("x" AS VARCHAR(65535)), '0'), '.') AS VARCHAR(64)) AS "x", "y", "m", "_tr_op", "_tr_ts", "_tr_pos", "_tr_loaded_at", "_tr_valid_from", "_tr_valid_to", "_tr_is_current" FROM "lake"."orders";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18" s JOIN "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_0a43b32f0b18_w";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894" s JOIN "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_050ce9c4b894_w";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674" s JOIN "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_ece34f11b674_w";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945" s JOIN "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4e68feecd945_w";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" (c0 VARCHAR(65535), c1 VARCHAR(64), c2 VARBYTE(1048576), c3 VARBYTE(1048576), c4 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0)) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key, length(s.c0) FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND length(b.key) = length(s.c0) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, length(k0) ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, length(k0) ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_w" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_v" v WHERE "orders"."pk" = v.k0 AND length("orders"."pk") = length(v.k0) AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, JSON_PARSE(s.c2), JSON_PARSE(s.c3), s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e" s JOIN "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_w" v ON s.c0 = v.k0 AND length(s.c0) = length(v.k0) AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_52d79b80184e_w";

INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT "pk", '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2023-11-20 17:06:40.000000' FROM "lake"."orders" WHERE _tr_is_current AND _tr_pos < '0002|0|';
UPDATE "lake"."orders" SET _tr_valid_to = TIMESTAMP '2023-11-20 17:06:40.000000', _tr_is_current = FALSE WHERE _tr_is_current AND _tr_pos < '0002|0|';

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (_tr_is_current)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (_tr_is_current)) q;

UNLOAD ('SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = ''a'' AND length("pk") = length(''a'')) OR ("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\''))) AND (_tr_is_current)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "x" AS "x", JSON_SERIALIZE_TO_VARBYTE("y") AS "y", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = 'a' AND length("pk") = length('a')) OR ("pk" = 'it''s \\' AND length("pk") = length('it''s \\'))) AND (_tr_is_current)) q;

-- a key of S and S

CREATE TABLE "lake"."orders" ("pk" VARCHAR(65535), "sk" VARCHAR(65535), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk", "sk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'current', '[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}]', 'table-id-1', 0, NULL, 1);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 0, NULL, NULL, NULL), ('orders', 1, 'sk', 'S', 'sk', 'string', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 VARCHAR(65535), c1 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1 AND length("orders"."sk") = length("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) || ("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0) || ("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1)) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"."sk" = s.c1 AND length("orders"."sk") = length(s.c1);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op <> 'd';
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 1, 'changes/1', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 VARCHAR(65535), c1 VARCHAR(65535), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AND length("orders"."pk") = length("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c1 AND length("orders"."sk") = length("_tailrace_stage_1c168adb00d2_94aa75e38b24".c1) AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) || ("_tailrace_stage_1c168adb00d2_94aa75e38b24".c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) AS VARCHAR(65535)) || ':' || ("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0) || ("_tailrace_stage_1c168adb00d2_94aa75e38b24".c1)) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "orders"."pk" = s.c0 AND length("orders"."pk") = length(s.c0) AND "orders"."sk" = s.c1 AND length("orders"."sk") = length(s.c1);
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(s.c0) AS VARCHAR(65535)) || ':' || (s.c0) || (s.c1), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op <> 'd';
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 2, 'changes/2', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000);
UPDATE "lake"."_tailrace_tables" SET version = 3, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 3, 'changes/3', 2, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, 1, 1790000000000, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 4, applied_through = 3, through_ms = NULL, incarnation = 'table-id-1' WHERE name = 'orders';

SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= 3 ORDER BY number;

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = ''it''''s \\\\'' AND length("pk") = length(''it''''s \\\\'') AND "sk" = ''it''''s \\\\'' AND length("sk") = length(''it''''s \\\\'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = 'it''s \\' AND length("pk") = length('it''s \\') AND "sk" = 'it''s \\' AND length("sk") = length('it''s \\')))) q;

-- a key of B

CREATE TABLE "lake"."orders" ("pk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE EVEN;
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'current', '[{"name": "pk", "type": "B"}]', 'table-id-1', 0, NULL, 1);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'B', 'pk', 'binary', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex(s.c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex(s.c0)));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT upper(to_hex(s.c0)), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op <> 'd';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(to_hex(s.c0)) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(upper(to_hex(s.c0)));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT upper(to_hex(s.c0)), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op <> 'd';

UNLOAD ('SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = FROM_HEX(''00ff'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = FROM_HEX('00ff')))) q;

-- a key of N and B

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'current', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'N', 'pk', 'decimal', 1, FALSE, 2, 1), ('orders', 1, 'sk', 'B', 'sk', 'binary', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c1)))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op = 'd';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."orders" WHERE "orders"."pk" = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_94aa75e38b24".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_94aa75e38b24".c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("_tailrace_stage_1c168adb00d2_94aa75e38b24".c1)))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length("_tailrace_tombstones_1c168adb00d2".key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op = 'd';

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff'')))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff')))) q;

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_deleted BOOLEAN, _tr_expired BOOLEAN, _tr_image_pos VARCHAR(64)) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'soft_delete', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.is_top AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "sk" = s.c1, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.is_image AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" i ON i.is_image AND i.c0 = s.c0 AND i.c1 = s.c1 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.is_top AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "sk" = s.c1, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.is_image AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" i ON i.is_image AND i.c0 = s.c0 AND i.c1 = s.c1 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1);

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff''))) AND (NOT _tr_deleted)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff'))) AND (NOT _tr_deleted)) q;

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_expired BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'changelog', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1);

INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s;

INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s;

INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_pos, _tr_loaded_at, _tr_expired) SELECT "pk", "sk", 'd', '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2026-09-21 14:13:20.000000', FALSE FROM (SELECT "pk", "sk", _tr_op, _tr_pos, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS newest FROM "lake"."orders") x WHERE newest = 1 AND _tr_pos < '0002|0|' AND _tr_op <> 'd';

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff''))) x WHERE _tr_newest = 1 AND _tr_op <> ''d''') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff'))) x WHERE _tr_newest = 1 AND _tr_op <> 'd') q;

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), "sk" VARBYTE(1048576), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP, _tr_valid_from TIMESTAMP, _tr_valid_to TIMESTAMP, _tr_is_current BOOLEAN) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'history', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, k1 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"."sk" AS k1, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1) UNION ALL SELECT k0, k1, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c1 AS k1, CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AS key, length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.c1 AS k1, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length(b.key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" AS SELECT k0, k1, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, k1 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, k1 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_v" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(v.k1))), v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s JOIN "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df_w" v ON s.c0 = v.k0 AND s.c1 = v.k1 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 DECIMAL(38, 1), c1 VARBYTE(1048576), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN, moment TIMESTAMP);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, k1 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"."sk" AS k1, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1) UNION ALL SELECT k0, k1, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c1 AS k1, CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AS key, length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s) x ON b.key = x.key AND length(b.key) = length(x.key) UNION ALL SELECT s.c0 AS k0, s.c1 AS k1, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1))) AND length(b.key) = length(CAST(length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(s.c1)))) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" AS SELECT k0, k1, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, k1 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, k1 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_v" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST(v.k0 AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex(v.k1))), v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s JOIN "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24_w" v ON s.c0 = v.k0 AND s.c1 = v.k1 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;

INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST("pk" AS VARCHAR(65535)), '0'), '.')) AS VARCHAR(65535)) || ':' || (rtrim(rtrim(CAST("pk" AS VARCHAR(65535)), '0'), '.')) || (upper(to_hex("sk"))), '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2023-11-20 17:06:40.000000' FROM "lake"."orders" WHERE _tr_is_current AND _tr_pos < '0002|0|';

UNLOAD ('SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX(''00ff''))) AND (_tr_is_current)') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1)) AND "sk" = FROM_HEX('00ff'))) AND (_tr_is_current)) q;

-- a key of N

CREATE TABLE "lake"."orders" ("pk" DECIMAL(38, 1), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 1, 'Orders', 'current', '[{"name": "pk", "type": "N"}]', 'table-id-1', 0, NULL, 1);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'N', 'pk', 'decimal', 1, FALSE, 2, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 DECIMAL(38, 1), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".c0 AS VARCHAR(65535)), '0'), '.')) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_0a0ff6bfd2df".pos;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op = 'd';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" (c0 DECIMAL(38, 1), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_94aa75e38b24".c0 AS VARCHAR(65535)), '0'), '.')) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_94aa75e38b24".pos;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.') AND length("_tailrace_tombstones_1c168adb00d2".key) = length(rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT rtrim(rtrim(CAST(s.c0 AS VARCHAR(65535)), '0'), '.'), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_94aa75e38b24" s WHERE s.op = 'd';

UNLOAD ('SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST(''12.5'' AS DECIMAL(38, 1))))') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

SELECT count(*) FROM (SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk" = CAST('12.5' AS DECIMAL(38, 1))))) q;

-- every type

CREATE TABLE "lake"."orders" ("pk" VARCHAR(65535), "b" VARBYTE(1048576), "bs" SUPER, "d" DECIMAL(38, 2), "l" SUPER, "m" SUPER, "n" BIGINT, "ns" SUPER, "o" BOOLEAN, "s" VARCHAR(65535), "ss" SUPER, "t" VARCHAR(64), _tr_op VARCHAR(1), _tr_ts BIGINT, _tr_pos VARCHAR(64), _tr_loaded_at TIMESTAMP) DISTSTYLE KEY DISTKEY ("pk") SORTKEY ("pk");
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 0, NULL, NULL, NULL), ('orders', 1, 'b', 'B', 'b', 'binary', 0, NULL, NULL, NULL), ('orders', 2, 'bs', 'BS', 'bs', 'list_binary', 0, NULL, NULL, NULL), ('orders', 3, 'd', 'N', 'd', 'decimal', 2, FALSE, 1, 2), ('orders', 4, 'l', 'L', 'l', 'json', 0, NULL, NULL, NULL), ('orders', 5, 'm', 'M', 'm', 'json', 0, NULL, NULL, NULL), ('orders', 6, 'n', 'N', 'n', 'int64', 0, TRUE, 1, 0), ('orders', 7, 'ns', 'NS', 'ns', 'list_decimal', 1, FALSE, 1, 1), ('orders', 8, 'o', 'BOOL', 'o', 'bool', 0, NULL, NULL, NULL), ('orders', 9, 's', 'S', 's', 'string', 0, NULL, NULL, NULL), ('orders', 10, 'ss', 'SS', 'ss', 'list_string', 0, NULL, NULL, NULL), ('orders', 11, 't', 'N', 't', 'number_text', 0, FALSE, 0, 130);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" (c0 VARCHAR(65535), c1 VARBYTE(1048576), c2 VARBYTE(1048576), c3 DECIMAL(38, 2), c4 VARBYTE(1048576), c5 VARBYTE(1048576), c6 BIGINT, c7 VARBYTE(1048576), c8 BOOLEAN, c9 VARCHAR(65535), c10 VARBYTE(1048576), c11 VARCHAR(64), op VARCHAR(1), ts BIGINT, pos VARCHAR(64), expired BOOLEAN);

INSERT INTO "lake"."orders" ("pk", "b", "bs", "d", "l", "m", "n", "ns", "o", "s", "ss", "t", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, JSON_PARSE(s.c2), s.c3, JSON_PARSE(s.c4), JSON_PARSE(s.c5), s.c6, JSON_PARSE(s.c7), s.c8, s.c9, JSON_PARSE(s.c10), s.c11, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_0a0ff6bfd2df" s WHERE s.op <> 'd';

UNLOAD ('SELECT "pk" AS "pk", "b" AS "b", JSON_SERIALIZE_TO_VARBYTE("bs") AS "bs", "d" AS "d", JSON_SERIALIZE_TO_VARBYTE("l") AS "l", JSON_SERIALIZE_TO_VARBYTE("m") AS "m", "n" AS "n", JSON_SERIALIZE_TO_VARBYTE("ns") AS "ns", "o" AS "o", "s" AS "s", JSON_SERIALIZE_TO_VARBYTE("ss") AS "ss", "t" AS "t", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders"') TO 's3://lake/golden/unload/<uuid>/' IAM_ROLE 'arn:aws:iam::111122223333:role/RedshiftCopy' FORMAT AS PARQUET MANIFEST;

