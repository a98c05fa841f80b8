"""What Redshift has and PostgreSQL lacks, as far as the target uses it: functions, system views, the SUPER type."""

from __future__ import annotations

from typing import Final

from tailrace.local.redshift.types import SUPER_STRING_BYTES

SUPER_BYTES: Final = 16 * 1024 * 1024

CATALOG: Final = rf"""
SET allow_system_table_mods = on;
SET search_path = pg_catalog;
CREATE FUNCTION super_fits(v jsonb) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
  SELECT octet_length(v::text) <= {SUPER_BYTES} AND NOT EXISTS (
    SELECT FROM jsonb_path_query(v, 'strict $.**') part
    WHERE jsonb_typeof(part) = 'string' AND octet_length(part #>> '{{}}') > {SUPER_STRING_BYTES}) $$;
CREATE DOMAIN super AS jsonb CHECK (octet_length(VALUE::text) <= {SUPER_STRING_BYTES} OR pg_catalog.super_fits(VALUE));
CREATE FUNCTION json_parse(v text) RETURNS super IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT v::jsonb::super $$;
CREATE FUNCTION "json_serialize"(v jsonb) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS
  $$ SELECT regexp_replace(v::text, $r$("(?:[^"\\]|\\.)*")|\s+$r$, $r$\1$r$, 'g') $$;
CREATE FUNCTION json_parse(v bytea) RETURNS super IMMUTABLE STRICT LANGUAGE sql AS
  $$ SELECT convert_from(v, 'UTF8')::jsonb::super $$;
CREATE FUNCTION json_serialize_to_varbyte(v jsonb) RETURNS bytea IMMUTABLE STRICT LANGUAGE sql AS
  $$ SELECT convert_to("json_serialize"(v), 'UTF8') $$;
CREATE FUNCTION can_json_parse(v text) RETURNS boolean IMMUTABLE STRICT LANGUAGE plpgsql AS
  $$ BEGIN PERFORM v::jsonb; RETURN true; EXCEPTION WHEN others THEN RETURN false; END $$;
CREATE FUNCTION from_hex(v text) RETURNS bytea IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT decode(v, 'hex') $$;
CREATE FUNCTION to_hex(v bytea) RETURNS text IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT encode(v, 'hex') $$;
CREATE FUNCTION nvl(a anyelement, b anyelement) RETURNS anyelement IMMUTABLE LANGUAGE sql AS $$ SELECT coalesce(a, b) $$;
CREATE FUNCTION getdate() RETURNS timestamp STABLE LANGUAGE sql AS
  $$ SELECT (statement_timestamp() AT TIME ZONE 'UTC')::timestamp(0) $$;
CREATE FUNCTION len(v text) RETURNS integer IMMUTABLE STRICT LANGUAGE sql AS $$ SELECT char_length(v) $$;
CREATE FUNCTION pg_last_copy_count() RETURNS bigint STABLE LANGUAGE sql AS
  $$ SELECT coalesce(nullif(current_setting('tailrace.copied', true), ''), '0')::bigint $$;
CREATE TABLE standin_names (short_name text PRIMARY KEY, full_name text NOT NULL);
CREATE TABLE sys_load_error_detail (
  start_time timestamp DEFAULT getdate(), table_name text, file_name text, line_number bigint, column_name text,
  column_type text, error_code integer, error_message text);
CREATE VIEW svv_redshift_columns AS
  SELECT 'dev'::text AS database_name, coalesce(schemas.full_name, n.nspname) AS schema_name,
    coalesce(tables.full_name, c.relname) AS table_name, coalesce(columns.full_name, a.attname) AS column_name,
    (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = a.attrelid AND b.attnum BETWEEN 1 AND a.attnum
      AND NOT b.attisdropped)::integer AS ordinal_position,
    CASE WHEN t.typname LIKE 'varchar(%' THEN 'character varying' || substr(t.typname::text, 8)
         WHEN t.typtype = 'd' THEN t.typname::text
         ELSE format_type(a.atttypid, a.atttypmod) END AS data_type,
    (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum)
      AS column_default,
    CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN standin_names schemas ON schemas.short_name = n.nspname
  LEFT JOIN standin_names tables ON tables.short_name = c.relname
  LEFT JOIN standin_names columns ON columns.short_name = a.attname
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%';
"""
