-- current: made, columns added and widened, rows merged, replayed, swept, read

SELECT c.relname, a.attname, CASE WHEN t.typcategory = 'A' THEN 'ARRAY' WHEN t.typname = 'numeric' THEN format_type(t.oid, a.atttypmod) ELSE format_type(t.oid, NULL) END FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE n.nspname = 'lake' AND c.relname IN ('_tailrace_ledger', 'orders') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum;
SELECT format, source, mode, keys, incarnation, applied_through, through_ms, version, fence FROM "lake"."_tailrace_tables" WHERE name = 'orders';
SELECT number, through_ms FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' AND number >= (SELECT applied_through FROM "lake"."_tailrace_tables" WHERE name = 'orders') ORDER BY number;
SELECT substring(attribute, 1, 15000), "tag", name, kind, scale, int64, whole_digits, number_scale FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' ORDER BY place;
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'lake' AND c.relname LIKE '_tailrace_stage_1c168adb00d2_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'f');

CREATE TABLE IF NOT EXISTS "lake"."_tailrace_tables" ("name" TEXT, "format" BIGINT, "source" TEXT, "mode" TEXT, "keys" TEXT, "incarnation" TEXT, "applied_through" BIGINT, "through_ms" BIGINT, "version" BIGINT, "fence" BIGINT);
CREATE TABLE IF NOT EXISTS "lake"."_tailrace_columns" ("table_name" TEXT, "place" BIGINT, "attribute" TEXT, "tag" TEXT, "name" TEXT, "kind" TEXT, "scale" BIGINT, "int64" BOOLEAN, "whole_digits" BIGINT, "number_scale" BIGINT);
CREATE TABLE IF NOT EXISTS "lake"."_tailrace_ledger" ("table_name" TEXT, "number" BIGINT, "segment" TEXT, "epoch" BIGINT, "sha256" TEXT, "row_count" BIGINT, "quarantined" BIGINT, "bytes" BIGINT, "applied_ms" BIGINT, "through_ms" BIGINT, "lag_ms_p50" BIGINT, "lag_ms_p99" BIGINT, "fence" BIGINT);

LOCK TABLE "lake"."_tailrace_tables" IN SHARE ROW EXCLUSIVE MODE;
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders') = 0 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
CREATE TABLE "lake"."orders" ("pk" TEXT, "x" BIGINT, "y" BIGINT[], _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP);
CREATE INDEX ON "lake"."orders" ("pk");
CREATE TABLE "lake"."_tailrace_tombstones_1c168adb00d2" (key TEXT, pos TEXT COLLATE "C");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 0, NULL, NULL, NULL), ('orders', 1, 'x', 'N', 'x', 'int64', 0, TRUE, 1, 0), ('orders', 2, 'y', 'NS', 'y', 'list_int64', 0, TRUE, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" (c0 TEXT, c1 BIGINT, c2 BIGINT[], op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

LOCK TABLE "lake"."orders" IN SHARE ROW EXCLUSIVE MODE;
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 1) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000010' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_09084d13df32".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_09084d13df32".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000010' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_1_09084d13df32".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_09084d13df32".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_09084d13df32";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 1, 'changes/1', 1, '0000000000000000000000000000000000000000000000000000000000000000', 4, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 2, applied_through = 1, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 2) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ALTER COLUMN "x" TYPE NUMERIC(38, 2) USING CAST("x" AS NUMERIC(38, 2));
DELETE FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' AND place = 1;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 1, 'x', 'N', 'x', 'decimal', 2, FALSE, 1, 2);
UPDATE "lake"."_tailrace_tables" SET version = 3 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 3) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ADD COLUMN "m" JSON;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 3, 'm', 'M', 'm', 'json', 0, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 4 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" (c0 TEXT, c1 NUMERIC(38, 2), c2 BIGINT[], c3 JSON, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 4) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000020' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_2deb0db30d07".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_2deb0db30d07".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000020' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_2_2deb0db30d07".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_2deb0db30d07".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_2deb0db30d07";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 2, 'changes/2', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 5, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 5) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ALTER COLUMN "x" TYPE TEXT USING CAST(rtrim(rtrim(CAST("x" AS TEXT), '0'), '.') AS TEXT);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 1, 'x', 'N', 'x', 'number_text', 0, FALSE, 1, 130);
UPDATE "lake"."_tailrace_tables" SET version = 6 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 6) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ALTER COLUMN "y" TYPE NUMERIC(38, 1)[] USING CAST("y" AS NUMERIC(38, 1)[]);
DELETE FROM "lake"."_tailrace_columns" WHERE table_name = 'orders' AND place = 2;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 2, 'y', 'NS', 'y', 'list_decimal', 1, FALSE, 1, 1);
UPDATE "lake"."_tailrace_tables" SET version = 7 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 7) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ADD COLUMN "x__s" TEXT;
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 4, 'x', 'S', 'x__s', 'string', 0, NULL, NULL, NULL);
UPDATE "lake"."_tailrace_tables" SET version = 8 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 8) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000040' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_4_968f7bc0f58e".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_4_968f7bc0f58e".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000040' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_4_968f7bc0f58e".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_4_968f7bc0f58e".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_968f7bc0f58e";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 4, 'changes/4', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 9, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 9) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000030' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000030' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_637dc6a1e3cf";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 3, 'changes/3', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 10, applied_through = 4, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 10) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
ALTER TABLE "lake"."orders" ADD COLUMN "_tr_widened" TEXT[];
UPDATE "lake"."orders" SET "_tr_widened" = CASE WHEN "y" IS NOT NULL THEN coalesce((SELECT array_agg(rtrim(rtrim(CAST(m AS TEXT), '0'), '.') ORDER BY o) FROM unnest("y") WITH ORDINALITY u(m, o)), CAST('{}' AS TEXT[])) END;
ALTER TABLE "lake"."orders" ALTER COLUMN "y" TYPE TEXT[] USING "_tr_widened";
ALTER TABLE "lake"."orders" DROP COLUMN "_tr_widened";
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 2, 'y', 'NS', 'y', 'list_number_text', 0, FALSE, 1, 130);
UPDATE "lake"."_tailrace_tables" SET version = 11 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 11) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000050' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_5_724dfdb22248".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_5_724dfdb22248".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000050' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_5_724dfdb22248".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_5_724dfdb22248".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_724dfdb22248";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 5, 'changes/5', 1, '0000000000000000000000000000000000000000000000000000000000000000', 3, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 12, applied_through = 5, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 12) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|0|0000000000000000000000000000000000000000' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|0|0000000000000000000000000000000000000000' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_8837ecbd6d2b";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 6, 'changes/6', 1, '0000000000000000000000000000000000000000000000000000000000000000', 2, 0, 1, 1790000000000, NULL, NULL, NULL, 0);
UPDATE "lake"."_tailrace_tables" SET version = 13, applied_through = 6, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 13) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000011' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_7_1f417c91d324".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_7_1f417c91d324".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000011' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_7_1f417c91d324".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_7_1f417c91d324".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_1f417c91d324";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 7, 'changes/7', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 14, applied_through = 7, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_tables" WHERE name = 'orders' AND version = 14) = 1 THEN '0' ELSE 'tailrace: another loader was first' END AS INTEGER);
DELETE FROM "lake"."orders" WHERE _tr_pos < '0002|0|';
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" WHERE pos < '0002|0|';
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 8, 'changes/8', 2, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, 1, 1790000000000, NULL, NULL, NULL, 0);
UPDATE "lake"."_tailrace_tables" SET version = 15, applied_through = 8, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT number, segment, epoch, sha256, row_count, quarantined, bytes, applied_ms, through_ms, lag_ms_p50, lag_ms_p99, fence FROM "lake"."_tailrace_ledger" WHERE table_name = 'orders' ORDER BY applied_ms DESC, number DESC LIMIT 100;
SELECT count(*) FROM "lake"."orders";

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders";

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk") IN (VALUES ('a'), ('it''s \')));

-- soft_delete: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" TEXT, "x" BIGINT, "y" BIGINT[], _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP, _tr_deleted BOOLEAN, _tr_expired BOOLEAN, _tr_image_pos TEXT COLLATE "C");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'soft_delete', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69" (c0 TEXT, c1 BIGINT, c2 BIGINT[], op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_23979ad99e69";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d" (c0 TEXT, c1 NUMERIC(38, 2), c2 BIGINT[], c3 JSON, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, "m" = s.c3, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_2adf1b9f271d";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, "m" = s.c3, "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END, CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_e749afeb777f";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, "m" = s.c3, "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END, CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_dc5908ac1426";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, "m" = s.c3, "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END, CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_e7db78a124dd";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, "m" = s.c3, "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END, CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_f55af2b4df0b";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d" s WHERE s.is_top AND "orders"."pk" = s.c0 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "x" = s.c1, "y" = s.c2, "m" = s.c3, "x__s" = s.c4, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d" s WHERE s.is_image AND "orders"."pk" = s.c0 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, CASE WHEN i.op IS NULL THEN s.c2 ELSE i.c2 END, CASE WHEN i.op IS NULL THEN s.c3 ELSE i.c3 END, CASE WHEN i.op IS NULL THEN s.c4 ELSE i.c4 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d" i ON i.is_image AND i.c0 = s.c0 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_e4938235851d";

UPDATE "lake"."orders" SET _tr_deleted = TRUE, _tr_op = 'd', _tr_ts = NULL, _tr_expired = FALSE, _tr_pos = '0002|0|0000000000000000000000000000000000000000', _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' WHERE _tr_pos < '0002|0|' AND NOT _tr_deleted;

SELECT count(*) FROM "lake"."orders" WHERE NOT _tr_deleted;

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (NOT _tr_deleted);

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk") IN (VALUES ('a'), ('it''s \'))) AND (NOT _tr_deleted);

-- changelog: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" TEXT, "x" BIGINT, "y" BIGINT[], _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP, _tr_expired BOOLEAN);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'changelog', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_bb174d50597f" (c0 TEXT, c1 BIGINT, c2 BIGINT[], op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_bb174d50597f") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_1_bb174d50597f" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_bb174d50597f";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_9718b61646ab" (c0 TEXT, c1 NUMERIC(38, 2), c2 BIGINT[], c3 JSON, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_9718b61646ab") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.c3, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_2_9718b61646ab" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_9718b61646ab";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_88ce9fcdda3b" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_88ce9fcdda3b") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_4_88ce9fcdda3b" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_88ce9fcdda3b";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_bfa4e54df8b5" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_bfa4e54df8b5") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_3_bfa4e54df8b5" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_bfa4e54df8b5";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_d18455a3ef68" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_d18455a3ef68") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_5_d18455a3ef68" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_d18455a3ef68";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_25425ca58a92" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_25425ca58a92") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_6_25425ca58a92" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_25425ca58a92";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_5910ceba6eff" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_5910ceba6eff") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_7_5910ceba6eff" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000011' AND "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_5910ceba6eff";

INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_pos, _tr_loaded_at, _tr_expired) SELECT "pk", 'd', '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2026-09-21 14:13:20.000000', FALSE FROM (SELECT "pk", _tr_op, _tr_pos, row_number() OVER (PARTITION BY "pk" ORDER BY _tr_pos DESC) AS newest FROM "lake"."orders") x WHERE newest = 1 AND _tr_pos < '0002|0|' AND _tr_op <> 'd';

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders") x WHERE _tr_newest = 1 AND _tr_op <> 'd';

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk") IN (VALUES ('a'), ('it''s \'))) x WHERE _tr_newest = 1 AND _tr_op <> 'd';

-- history: made, columns added and widened, rows merged, replayed, swept, read

CREATE TABLE "lake"."orders" ("pk" TEXT, "x" BIGINT, "y" BIGINT[], _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP, _tr_valid_from TIMESTAMP, _tr_valid_to TIMESTAMP, _tr_is_current BOOLEAN);
CREATE TABLE "lake"."_tailrace_tombstones_1c168adb00d2" (key TEXT, pos TEXT COLLATE "C", moment TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'history', '[{"name": "pk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad" (c0 TEXT, c1 BIGINT, c2 BIGINT[], op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad") = 4 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad" s JOIN "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_55c6d02954ad";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606" (c0 TEXT, c1 NUMERIC(38, 2), c2 BIGINT[], c3 JSON, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.c3, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606" s JOIN "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_ceba65eea606";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f" s JOIN "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_4_ed0bcaf1277f";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb" (c0 TEXT, c1 TEXT, c2 NUMERIC(38, 1)[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb") = 3 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb" s JOIN "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_3_2014ca61dccb";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747" s JOIN "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_5_2904b2e41747";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a") = 2 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a" s JOIN "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_6_458f55f3334a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c" (c0 TEXT, c1 TEXT, c2 TEXT[], c3 JSON, c4 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c" s WHERE "orders"."pk" = s.c0) UNION ALL SELECT k0, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c0 AS key FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = s.c0 AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_w" AS SELECT k0, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_w" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_v" v WHERE "orders"."pk" = v.k0 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT v.k0, v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "x", "y", "m", "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c" s JOIN "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_w" v ON s.c0 = v.k0 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_7_831df980267c";

INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT "pk", '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2023-11-20 17:06:40.000000' FROM "lake"."orders" WHERE _tr_is_current AND _tr_pos < '0002|0|';
UPDATE "lake"."orders" SET _tr_valid_to = TIMESTAMP '2023-11-20 17:06:40.000000', _tr_is_current = FALSE WHERE _tr_is_current AND _tr_pos < '0002|0|';

SELECT count(*) FROM "lake"."orders" WHERE _tr_is_current;

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (_tr_is_current);

SELECT "pk" AS "pk", "x" AS "x", "y" AS "y", CAST("m" AS TEXT) AS "m", "x__s" AS "x__s", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk") IN (VALUES ('a'), ('it''s \'))) AND (_tr_is_current);

-- a key of S and S

CREATE TABLE "lake"."orders" ("pk" TEXT, "sk" TEXT, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 0, NULL, NULL, NULL), ('orders', 1, 'sk', 'S', 'sk', 'string', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" (c0 TEXT, c1 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length("_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".c0) AS TEXT) || ':' || ("_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".c0) || ("_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".c1) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_61d9a5ee2276".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(s.c0) AS TEXT) || ':' || (s.c0) || (s.c1);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(s.c0) AS TEXT) || ':' || (s.c0) || (s.c1), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_61d9a5ee2276";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 1, 'changes/1', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" (c0 TEXT, c1 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length("_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".c0) AS TEXT) || ':' || ("_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".c0) || ("_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".c1) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(s.c0) AS TEXT) || ':' || (s.c0) || (s.c1);
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(s.c0) AS TEXT) || ':' || (s.c0) || (s.c1), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_f2b080f1a5cb";
INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 2, 'changes/2', 1, '0000000000000000000000000000000000000000000000000000000000000000', 1, 0, 1, 1790000000000, NULL, 90000000000, 90000000000, 0);
UPDATE "lake"."_tailrace_tables" SET version = 3, applied_through = 2, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

INSERT INTO "lake"."_tailrace_ledger" VALUES ('orders', 3, 'changes/3', 2, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, 1, 1790000000000, NULL, NULL, NULL, 0);
UPDATE "lake"."_tailrace_tables" SET version = 4, applied_through = 3, through_ms = NULL, incarnation = 'table-id-1', fence = 0 WHERE name = 'orders';

SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk", "sk") IN (VALUES ('it''s \', 'it''s \')));

-- a key of B

CREATE TABLE "lake"."orders" ("pk" BYTEA, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'B', 'pk', 'binary', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" (c0 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_1258e78a3326".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_1258e78a3326".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = upper(encode("_tailrace_stage_1c168adb00d2_1_1258e78a3326".c0, 'hex')) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_1258e78a3326".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(encode(s.c0, 'hex'));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT upper(encode(s.c0, 'hex')), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_1258e78a3326";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" (c0 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = upper(encode("_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".c0, 'hex')) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_bc609b7f91fb".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE "_tailrace_tombstones_1c168adb00d2".key = upper(encode(s.c0, 'hex'));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT upper(encode(s.c0, 'hex')), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bc609b7f91fb";

SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk") IN (VALUES (CAST('\x00ff' AS BYTEA))));

-- a key of N and B

CREATE TABLE "lake"."orders" ("pk" NUMERIC(38, 1), "sk" BYTEA, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'N', 'pk', 'decimal', 1, FALSE, 2, 1), ('orders', 1, 'sk', 'B', 'sk', 'binary', 0, NULL, NULL, NULL);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c0 AS TEXT), '0'), '.')) || (upper(encode("_tailrace_stage_1c168adb00d2_1_bd97528d71e2".c1, 'hex'))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_bd97528d71e2".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex')));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex'))), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_bd97528d71e2";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AND "orders"."sk" = "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c1 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c0 AS TEXT), '0'), '.')) || (upper(encode("_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".c1, 'hex'))) AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_bb196e3e7caa".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE "_tailrace_tombstones_1c168adb00d2".key = CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex')));
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex'))), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb196e3e7caa";

SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk", "sk") IN (VALUES (CAST('12.5' AS DECIMAL(38, 1)), CAST('\x00ff' AS BYTEA))));

CREATE TABLE "lake"."orders" ("pk" NUMERIC(38, 1), "sk" BYTEA, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP, _tr_deleted BOOLEAN, _tr_expired BOOLEAN, _tr_image_pos TEXT COLLATE "C");
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'soft_delete', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" s WHERE s.is_top AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "sk" = s.c1, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" s WHERE s.is_image AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a" i ON i.is_image AND i.c0 = s.c0 AND i.c1 = s.c1 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_087ef5e2595a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, is_top BOOLEAN, is_image BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
UPDATE "lake"."orders" SET _tr_op = s.op, _tr_ts = s.ts, _tr_pos = s.pos, _tr_deleted = (s.op = 'd'), _tr_expired = s.expired, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" s WHERE s.is_top AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND s.pos > "orders"._tr_pos;
UPDATE "lake"."orders" SET "pk" = s.c0, "sk" = s.c1, _tr_image_pos = s.pos, _tr_loaded_at = TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" s WHERE s.is_image AND "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND ("orders"._tr_image_pos IS NULL OR s.pos > "orders"._tr_image_pos);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos) SELECT CASE WHEN i.op IS NULL THEN s.c0 ELSE i.c0 END, CASE WHEN i.op IS NULL THEN s.c1 ELSE i.c1 END, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.op = 'd', s.expired, i.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" s LEFT JOIN "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7" i ON i.is_image AND i.c0 = s.c0 AND i.c1 = s.c1 WHERE s.is_top AND NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1);
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_bb161bc50be7";

SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_deleted, _tr_expired, _tr_image_pos FROM "lake"."orders" WHERE (("pk", "sk") IN (VALUES (CAST('12.5' AS DECIMAL(38, 1)), CAST('\x00ff' AS BYTEA)))) AND (NOT _tr_deleted);

CREATE TABLE "lake"."orders" ("pk" NUMERIC(38, 1), "sk" BYTEA, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP, _tr_expired BOOLEAN);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'changelog', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_f9787ad4895a";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', s.expired FROM "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08" s;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_8cce89c7bc08";

INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_pos, _tr_loaded_at, _tr_expired) SELECT "pk", "sk", 'd', '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2026-09-21 14:13:20.000000', FALSE FROM (SELECT "pk", "sk", _tr_op, _tr_pos, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS newest FROM "lake"."orders") x WHERE newest = 1 AND _tr_pos < '0002|0|' AND _tr_op <> 'd';

SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_expired FROM (SELECT *, row_number() OVER (PARTITION BY "pk", "sk" ORDER BY _tr_pos DESC) AS _tr_newest FROM "lake"."orders" WHERE ("pk", "sk") IN (VALUES (CAST('12.5' AS DECIMAL(38, 1)), CAST('\x00ff' AS BYTEA)))) x WHERE _tr_newest = 1 AND _tr_op <> 'd';

CREATE TABLE "lake"."orders" ("pk" NUMERIC(38, 1), "sk" BYTEA, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP, _tr_valid_from TIMESTAMP, _tr_valid_to TIMESTAMP, _tr_is_current BOOLEAN);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'history', '[{"name": "pk", "type": "N"}, {"name": "sk", "type": "B"}]', 'table-id-1', 0, NULL, 1, 0);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, k1 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"."sk" AS k1, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1) UNION ALL SELECT k0, k1, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c1 AS k1, CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex'))) AS key FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.c1 AS k1, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex'))) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" AS SELECT k0, k1, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, k1 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, k1 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(v.k0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(v.k0 AS TEXT), '0'), '.')) || (upper(encode(v.k1, 'hex'))), v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b" s JOIN "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w" v ON s.c0 = v.k0 AND s.c1 = v.k1 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_7bd3c8e4e90b";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" (c0 NUMERIC(38, 1), c1 BYTEA, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN, moment TIMESTAMP);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v" AS SELECT *, CASE WHEN is_base AND min(moment) OVER (PARTITION BY k0, k1 ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) <= moment THEN TRUE ELSE FALSE END AS is_lost FROM (SELECT "orders"."pk" AS k0, "orders"."sk" AS k1, "orders"._tr_pos AS pos, "orders"._tr_valid_from AS moment, FALSE AS is_end, "orders"._tr_op = 'r' AS is_base, FALSE AS is_new FROM "lake"."orders" WHERE EXISTS (SELECT 1 FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1) UNION ALL SELECT k0, k1, b.pos, b.moment, TRUE, FALSE, FALSE FROM "lake"."_tailrace_tombstones_1c168adb00d2" b JOIN (SELECT DISTINCT s.c0 AS k0, s.c1 AS k1, CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex'))) AS key FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s) x ON b.key = x.key UNION ALL SELECT s.c0 AS k0, s.c1 AS k1, s.pos, s.moment, s.op = 'd', s.op = 'r', TRUE FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s WHERE NOT EXISTS (SELECT 1 FROM "lake"."orders" WHERE "orders"."pk" = s.c0 AND "orders"."sk" = s.c1 AND "orders"._tr_pos = s.pos) AND NOT EXISTS (SELECT 1 FROM "lake"."_tailrace_tombstones_1c168adb00d2" b WHERE b.key = CAST(length(rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.')) || (upper(encode(s.c1, 'hex'))) AND b.pos = s.pos)) u;
CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" AS SELECT k0, k1, pos, moment, is_end, is_new, lead(moment) OVER (PARTITION BY k0, k1 ORDER BY pos) AS until, CASE WHEN lead(pos) OVER (PARTITION BY k0, k1 ORDER BY pos) IS NULL THEN TRUE ELSE FALSE END AS is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v" WHERE NOT is_lost;
UPDATE "lake"."orders" SET _tr_valid_to = v.until, _tr_is_current = v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND NOT v.is_end AND NOT v.is_new AND ("orders"._tr_is_current <> v.is_last OR "orders"._tr_valid_to <> v.until);
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v" v WHERE "orders"."pk" = v.k0 AND "orders"."sk" = v.k1 AND "orders"._tr_pos = v.pos AND v.is_lost AND NOT v.is_new;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST(v.k0 AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST(v.k0 AS TEXT), '0'), '.')) || (upper(encode(v.k1, 'hex'))), v.pos, v.moment FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" v WHERE v.is_end AND v.is_new;
INSERT INTO "lake"."orders" ("pk", "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current) SELECT s.c0, s.c1, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000', v.moment, v.until, v.is_last FROM "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112" s JOIN "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w" v ON s.c0 = v.k0 AND s.c1 = v.k1 AND s.pos = v.pos WHERE v.is_new AND NOT v.is_end;
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_v";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112_w";
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_46bd4a35c112";

INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT CAST(length(rtrim(rtrim(CAST("pk" AS TEXT), '0'), '.')) AS TEXT) || ':' || (rtrim(rtrim(CAST("pk" AS TEXT), '0'), '.')) || (upper(encode("sk", 'hex'))), '0002|0|0000000000000000000000000000000000000000', TIMESTAMP '2023-11-20 17:06:40.000000' FROM "lake"."orders" WHERE _tr_is_current AND _tr_pos < '0002|0|';

SELECT "pk" AS "pk", "sk" AS "sk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at, _tr_valid_from, _tr_valid_to, _tr_is_current FROM "lake"."orders" WHERE (("pk", "sk") IN (VALUES (CAST('12.5' AS DECIMAL(38, 1)), CAST('\x00ff' AS BYTEA)))) AND (_tr_is_current);

-- a key of N

CREATE TABLE "lake"."orders" ("pk" NUMERIC(38, 1), _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP);
INSERT INTO "lake"."_tailrace_tables" VALUES ('orders', 2, 'Orders', 'current', '[{"name": "pk", "type": "N"}]', 'table-id-1', 0, NULL, 1, 0);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'N', 'pk', 'decimal', 1, FALSE, 2, 1);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" (c0 NUMERIC(38, 1), op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_235d81e30a16".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_235d81e30a16".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_1_235d81e30a16".c0 AS TEXT), '0'), '.') AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_235d81e30a16".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.');
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.'), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_235d81e30a16";

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" (c0 NUMERIC(38, 1), op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000002' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000002' AND "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST("_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".c0 AS TEXT), '0'), '.') AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE "_tailrace_tombstones_1c168adb00d2".key = rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.');
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT rtrim(rtrim(CAST(s.c0 AS TEXT), '0'), '.'), s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_2_a770e2aaa0c2";

SELECT "pk" AS "pk", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders" WHERE (("pk") IN (VALUES (CAST('12.5' AS DECIMAL(38, 1)))));

-- every type

CREATE TABLE "lake"."orders" ("pk" TEXT, "b" BYTEA, "bs" BYTEA[], "d" NUMERIC(38, 2), "l" JSON, "m" JSON, "n" BIGINT, "ns" NUMERIC(38, 1)[], "o" BOOLEAN, "s" TEXT, "ss" TEXT[], "t" TEXT, _tr_op TEXT, _tr_ts BIGINT, _tr_pos TEXT COLLATE "C", _tr_loaded_at TIMESTAMP);
INSERT INTO "lake"."_tailrace_columns" VALUES ('orders', 0, 'pk', 'S', 'pk', 'string', 0, NULL, NULL, NULL), ('orders', 1, 'b', 'B', 'b', 'binary', 0, NULL, NULL, NULL), ('orders', 2, 'bs', 'BS', 'bs', 'list_binary', 0, NULL, NULL, NULL), ('orders', 3, 'd', 'N', 'd', 'decimal', 2, FALSE, 1, 2), ('orders', 4, 'l', 'L', 'l', 'json', 0, NULL, NULL, NULL), ('orders', 5, 'm', 'M', 'm', 'json', 0, NULL, NULL, NULL), ('orders', 6, 'n', 'N', 'n', 'int64', 0, TRUE, 1, 0), ('orders', 7, 'ns', 'NS', 'ns', 'list_decimal', 1, FALSE, 1, 1), ('orders', 8, 'o', 'BOOL', 'o', 'bool', 0, NULL, NULL, NULL), ('orders', 9, 's', 'S', 's', 'string', 0, NULL, NULL, NULL), ('orders', 10, 'ss', 'SS', 'ss', 'list_string', 0, NULL, NULL, NULL), ('orders', 11, 't', 'N', 't', 'number_text', 0, FALSE, 0, 130);

CREATE TABLE "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" (c0 TEXT, c1 BYTEA, c2 BYTEA[], c3 NUMERIC(38, 2), c4 JSON, c5 JSON, c6 BIGINT, c7 NUMERIC(38, 1)[], c8 BOOLEAN, c9 TEXT, c10 TEXT[], c11 TEXT, op TEXT, ts BIGINT, pos TEXT COLLATE "C", expired BOOLEAN);

SELECT CAST(CASE WHEN (SELECT count(*) FROM "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c") = 1 THEN '0' ELSE 'tailrace: staged rows are missing' END AS INTEGER);
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" USING "lake"."orders" WHERE "orders"._tr_pos >= '0001|1|0000000000000000000000000000000000000001' AND "orders"."pk" = "_tailrace_stage_1c168adb00d2_1_5230ff8fe09c".c0 AND "orders"._tr_pos >= "_tailrace_stage_1c168adb00d2_1_5230ff8fe09c".pos;
DELETE FROM "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" USING "lake"."_tailrace_tombstones_1c168adb00d2" WHERE "_tailrace_tombstones_1c168adb00d2".pos >= '0001|1|0000000000000000000000000000000000000001' AND "_tailrace_tombstones_1c168adb00d2".key = "_tailrace_stage_1c168adb00d2_1_5230ff8fe09c".c0 AND "_tailrace_tombstones_1c168adb00d2".pos >= "_tailrace_stage_1c168adb00d2_1_5230ff8fe09c".pos;
DELETE FROM "lake"."orders" USING "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" s WHERE "orders"."pk" = s.c0;
DELETE FROM "lake"."_tailrace_tombstones_1c168adb00d2" USING "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" s WHERE "_tailrace_tombstones_1c168adb00d2".key = s.c0;
INSERT INTO "lake"."_tailrace_tombstones_1c168adb00d2" SELECT s.c0, s.pos FROM "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" s WHERE s.op = 'd';
INSERT INTO "lake"."orders" ("pk", "b", "bs", "d", "l", "m", "n", "ns", "o", "s", "ss", "t", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at) SELECT s.c0, s.c1, s.c2, s.c3, s.c4, s.c5, s.c6, s.c7, s.c8, s.c9, s.c10, s.c11, s.op, s.ts, s.pos, TIMESTAMP '2026-09-21 14:13:20.000000' FROM "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c" s WHERE s.op <> 'd';
DROP TABLE "lake"."_tailrace_stage_1c168adb00d2_1_5230ff8fe09c";

SELECT "pk" AS "pk", "b" AS "b", "bs" AS "bs", "d" AS "d", CAST("l" AS TEXT) AS "l", CAST("m" AS TEXT) AS "m", "n" AS "n", "ns" AS "ns", "o" AS "o", "s" AS "s", "ss" AS "ss", "t" AS "t", _tr_op, _tr_ts, _tr_pos, _tr_loaded_at FROM "lake"."orders";

