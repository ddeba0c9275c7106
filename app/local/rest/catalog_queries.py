"""What is asked of pg_catalog. Valid on PostgreSQL 15 to 18."""

from __future__ import annotations

TYPES = """
select t.oid::int8 as oid, n.nspname as schema, t.typname as name, t.typtype::text as kind,
       t.typbasetype::int8 as base, t.typcategory::text as category, t.typrelid::int8 as relation,
       a.typname as array_name, an.nspname as array_schema, format_type(t.oid, null) as declared
from pg_type t join pg_namespace n on n.oid = t.typnamespace
left join pg_type a on a.oid = t.typarray left join pg_namespace an on an.oid = a.typnamespace
"""
RELATIONS = """
select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relkind in ('v', 'm') as is_view,
       c.relkind = 'c' as is_type
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and not c.relispartition
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
"""
# An identity column has no expression in pg_attrdef: its sequence hangs on it as an internal dependency.
COLUMNS = """
select a.attrelid::int8 as relation, a.attnum::int as number, a.attname as name, a.atttypid::int8 as type,
       format_type(a.atttypid, a.atttypmod) as declared,
       case when a.attidentity = 'd'
            then (select format('nextval(%L)', s.oid::regclass)
                  from pg_depend d join pg_class s on s.oid = d.objid
                  where d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype = 'i' limit 1)
            when a.attgenerated = '' then pg_get_expr(f.adbin, f.adrelid) end as default
from pg_attribute a left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
where a.attrelid = any($1::int8[]::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""
KEYS = """
select conname as name, contype::text as kind, conrelid::int8 as table, conkey::int[] as columns,
       confrelid::int8 as other, coalesce(confkey, '{}')::int[] as other_columns
from pg_constraint
where contype in ('p', 'u', 'f') and conparentid = 0 and conrelid = any($1::int8[]::oid[])
order by conrelid, conname
"""
VIEWS = """
select ev_class::int8 as view, ev_action::text as tree from pg_rewrite
where ev_type = '1' and ev_class = any($1::int8[]::oid[])
"""
FUNCTIONS = """
select p.oid::int8 as oid, p.proname as name, p.proargnames as names, p.proargmodes::text[] as modes,
       p.proargtypes::oid[]::int8[] as input_types, p.proallargtypes::int8[] as all_types,
       p.pronargdefaults::int as defaults, p.prorettype::int8 as returns, p.proretset as many,
       p.prorows = 1 as one_row, p.provolatile = 'v' as volatile,
       (select split_part(c, '=', 2) from unnest(p.proconfig) c where c like 'statement_timeout=%') as timeout
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
order by p.proname, p.oid
"""
