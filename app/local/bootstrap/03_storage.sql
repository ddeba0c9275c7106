-- Schema storage: buckets and the rows of objects, owned by the Storage server; the bytes are elsewhere. Every API
-- role has every table privilege here: what it may do is decided by row-level security alone.

create schema storage authorization supabase_admin;
grant usage on schema storage to postgres with grant option;
grant usage on schema storage to anon, authenticated, service_role;
grant all on schema storage to supabase_storage_admin with grant option;

set local role supabase_storage_admin;

create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');

create table storage.buckets (
    id                 text primary key,
    name               text not null,
    owner              uuid,
    created_at         timestamptz default now(),
    updated_at         timestamptz default now(),
    public             boolean default false,
    avif_autodetection boolean default false,
    file_size_limit    bigint,
    allowed_mime_types text[],
    owner_id           text,
    type               storage.buckettype not null default 'STANDARD',
    versioning_status  text not null default 'DISABLED' check (versioning_status = 'DISABLED')
);
create unique index bname on storage.buckets (name);
comment on column storage.buckets.owner is 'Field is deprecated, use owner_id instead';

create table storage.objects (
    id               uuid primary key default gen_random_uuid(),
    bucket_id        text constraint "objects_bucketId_fkey" references storage.buckets,
    name             text,
    owner            uuid,
    created_at       timestamptz default now(),
    updated_at       timestamptz default now(),
    last_accessed_at timestamptz default now(),
    metadata         jsonb,
    path_tokens      text[] generated always as (string_to_array(name, '/')) stored,
    version          text,
    owner_id         text,
    user_metadata    jsonb,
    archived_at      timestamptz,
    is_delete_marker boolean not null default false,
    is_versioned     boolean not null default false
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index name_prefix_search on storage.objects (name text_pattern_ops);
create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
comment on column storage.objects.owner is 'Field is deprecated, use owner_id instead';

create table storage.migrations (
    id          integer primary key,
    name        varchar(100) not null unique,
    hash        varchar(40) not null,
    executed_at timestamp default current_timestamp
);

create table storage.s3_multipart_uploads (
    id               text primary key,
    in_progress_size bigint not null default 0,
    upload_signature text not null,
    bucket_id        text not null references storage.buckets,
    key              text collate "C" not null,
    version          text not null,
    owner_id         text,
    created_at       timestamptz not null default now(),
    user_metadata    jsonb
);
create index idx_multipart_uploads_list on storage.s3_multipart_uploads (bucket_id, key, created_at);

create table storage.s3_multipart_uploads_parts (
    id          uuid primary key default gen_random_uuid(),
    upload_id   text not null references storage.s3_multipart_uploads on delete cascade,
    size        bigint not null default 0,
    part_number integer not null,
    bucket_id   text not null references storage.buckets,
    key         text collate "C" not null,
    etag        text not null,
    owner_id    text,
    version     text not null,
    created_at  timestamptz not null default now()
);

-- Names -----------------------------------------------------------------------------------------------------------

create function storage.foldername(name text) returns text[] language plpgsql immutable as $$
declare
    parts text[] := string_to_array(name, '/');
begin
    return parts[1 : array_length(parts, 1) - 1];
end
$$;
comment on function storage.foldername(text) is 'The folders of a key: ''a/b/c.md'' gives {a,b}, ''c.md'' gives {}.';

create function storage.filename(name text) returns text language plpgsql immutable as $$
declare
    parts text[] := string_to_array(name, '/');
begin
    return parts[array_length(parts, 1)];
end
$$;
comment on function storage.filename(text) is 'The last part of a key.';

create function storage.extension(name text) returns text language plpgsql immutable as $$
begin
    return split_part(storage.filename(name), '.', -1);
end
$$;
comment on function storage.extension(text) is 'What follows the last dot of a key''s last part.';

-- What the Storage server is doing, for policies -------------------------------------------------------------------

create function storage.operation() returns text language plpgsql stable as $$
begin
    return current_setting('storage.operation', true);
end
$$;

create function storage.allow_any_operation(expected_operations text[]) returns boolean language sql stable as $$
    select exists (
        select 1
        from unnest(expected_operations) as expected
        where regexp_replace(lower(expected), '^storage\.', '')
            = regexp_replace(lower(nullif(storage.operation(), '')), '^storage\.', '')
    )
$$;

create function storage.allow_only_operation(expected_operation text) returns boolean language sql stable as $$
    select storage.allow_any_operation(array[expected_operation])
$$;

-- Listing ---------------------------------------------------------------------------------------------------------

create function storage.search(
    prefix     text,
    bucketname text,
    limits     integer default 100,
    levels     integer default 1,
    offsets    integer default 0,
    search     text default '',
    sortcolumn text default 'name',
    sortorder  text default 'asc'
) returns table (
    name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
) language plpgsql stable as $$
declare
    direction text := case when lower(sortorder) = 'desc' then 'desc' else 'asc' end;
    sort_by   text := case when sortcolumn in ('name', 'updated_at', 'created_at', 'last_accessed_at')
                           then sortcolumn else 'name' end;
begin
    return query execute format($query$
        with below as (
            select o.path_tokens[$1] as entry, o.path_tokens, o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata
            from storage.objects o
            where o.bucket_id = $2 and starts_with(lower(o.name), lower($3 || $4)) and array_length(o.path_tokens, 1) >= $1
        ), entries as (
            select distinct b.entry as name, null::uuid as id, null::timestamptz as updated_at, null::timestamptz as created_at,
                   null::timestamptz as last_accessed_at, null::jsonb as metadata, 0 as kind
            from below b where array_length(b.path_tokens, 1) > $1
            union all
            select b.entry, b.id, b.updated_at, b.created_at, b.last_accessed_at, b.metadata, 1
            from below b where array_length(b.path_tokens, 1) = $1
        )
        select e.name, e.id, e.updated_at, e.created_at, e.last_accessed_at, e.metadata
        from entries e order by e.kind, e.%I %s, e.name %s limit $5 offset $6
    $query$, sort_by, direction, direction)
    using levels, bucketname, prefix, coalesce(search, ''), limits, offsets;
end
$$;
comment on function storage.search(text, text, integer, integer, integer, text, text, text) is
    'One level of a bucket: its folders (without id) and then its objects, as POST /object/list shows them.';

create function storage.search_v2(
    prefix            text,
    bucket_name       text,
    limits            integer default 100,
    levels            integer default 1,
    start_after       text default '',
    sort_order        text default 'asc',
    sort_column       text default 'name',
    sort_column_after text default ''
) returns table (
    key text, name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
) language plpgsql stable as $$
declare
    descending boolean := lower(sort_order) = 'desc';
    sort_by    text := case when sort_column in ('updated_at', 'created_at') then sort_column else 'name' end;
    sign       text := case when descending then '<' else '>' end;
    direction  text := case when descending then 'desc' else 'asc' end;
begin
    return query execute format($query$
        with below as (
            select o.*, array_length(o.path_tokens, 1) > $1 as deeper,
                   case when array_length(o.path_tokens, 1) > $1
                        then array_to_string(o.path_tokens[1:$1], '/') || '/' else o.name end as entry
            from storage.objects o
            where o.bucket_id = $2 and starts_with(o.name, $3)
        ), entries as (
            select distinct b.entry collate "C" as name, null::uuid as id, null::timestamptz as updated_at,
                   null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
            from below b where b.deeper
            union all
            select b.entry, b.id, b.updated_at, b.created_at, b.last_accessed_at, b.metadata from below b where not b.deeper
        )
        select split_part(rtrim(e.name, '/'), '/', $1), e.name, e.id, e.updated_at, e.created_at, e.last_accessed_at, e.metadata
        from entries e
        where case when $5 = '' then true
                   when %1$L = 'name' or $6 = '' then e.name %2$s $5
                   else (coalesce(e.%1$I::text, ''), e.name) %2$s (coalesce($6::timestamptz::text, ''), $5) end
        order by e.%1$I %3$s, e.name %3$s limit $4
    $query$, sort_by, sign, direction)
    using levels, bucket_name, prefix, limits, start_after, sort_column_after;
end
$$;
comment on function storage.search_v2(text, text, integer, integer, text, text, text, text) is
    'One level of a bucket in one order, after a position, as POST /object/list-v2 pages through it.';

create function storage.list_objects_with_delimiter(
    bucket_id       text,
    prefix_param    text,
    delimiter_param text,
    max_keys        integer default 100,
    start_after     text default '',
    next_token      text default ''
) returns table (name text, id uuid, metadata jsonb, updated_at timestamptz) language sql stable as $$
    select distinct on (entry collate "C")
        entry, case when folder then null else o.id end, case when folder then null else o.metadata end,
        case when folder then null else o.updated_at end
    from storage.objects o
    cross join lateral (select position(delimiter_param in substr(o.name, length(prefix_param) + 1)) as at) d
    cross join lateral (
        select d.at > 0 as folder,
               case when d.at > 0 then substr(o.name, 1, length(prefix_param) + d.at + length(delimiter_param) - 1)
                    else o.name end as entry
    ) e
    where o.bucket_id = list_objects_with_delimiter.bucket_id
      and starts_with(o.name, prefix_param)
      and entry collate "C" > greatest(start_after, next_token) collate "C"
    order by entry collate "C", o.name
    limit max_keys
$$;

create function storage.get_size_by_bucket() returns table (size bigint, bucket_id text) language sql stable as $$
    select sum((o.metadata ->> 'size')::bigint)::bigint, o.bucket_id from storage.objects o group by o.bucket_id
$$;

-- The server asks this before it takes the bytes. Nothing stays: the subtransaction is always rolled back.
create function storage.can_insert_object(bucketid text, name text, owner uuid, metadata jsonb) returns void
language plpgsql as $$
begin
    insert into storage.objects (bucket_id, name, owner, metadata)
    values (bucketid, can_insert_object.name, can_insert_object.owner, can_insert_object.metadata);
    raise sqlstate 'PT200' using message = 'ROLLBACK', detail = 'rollback successful insert';
end
$$;

-- What plain SQL may not do ----------------------------------------------------------------------------------------

create function storage.update_updated_at_column() returns trigger language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end
$$;

create function storage.protect_delete() returns trigger language plpgsql as $$
begin
    if coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' then
        raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
            using errcode = '42501', hint = 'This prevents accidental data loss from orphaned objects.';
    end if;
    return null;
end
$$;
comment on function storage.protect_delete() is 'Refuses a DELETE by plain SQL: it would orphan the bytes.';

create function storage.enforce_bucket_name_length() returns trigger language plpgsql as $$
begin
    if length(new.name) > 100 then
        raise exception 'bucket name "%" is too long (% characters). Max is 100.', new.name, length(new.name);
    end if;
    return new;
end
$$;

create trigger update_objects_updated_at before update on storage.objects
    for each row execute function storage.update_updated_at_column();
create trigger protect_objects_delete before delete on storage.objects
    for each statement execute function storage.protect_delete();
create trigger protect_buckets_delete before delete on storage.buckets
    for each statement execute function storage.protect_delete();
create trigger enforce_bucket_name_length_trigger before insert or update of name on storage.buckets
    for each row execute function storage.enforce_bucket_name_length();

alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
alter table storage.migrations enable row level security;
alter table storage.s3_multipart_uploads enable row level security;
alter table storage.s3_multipart_uploads_parts enable row level security;

grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
grant all on storage.buckets, storage.objects to postgres with grant option;
grant select on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts to anon, authenticated;
grant all on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts to service_role, postgres;

reset role;
