-- What the embedded Storage server does in PostgreSQL, one function and one round trip for each request.
--
-- The real server opens a transaction, takes the caller's role, tries the write, rolls it back, and does it again
-- as the owner of the tables. These functions do the same inside one statement. They are SECURITY INVOKER: only
-- such a function may change the role, and everything is undone when its statement ends. The schema is the
-- server's own; no API role can reach it. Everything here is made anew whenever the server starts.

drop schema if exists local_storage cascade;
create schema local_storage;
grant usage on schema local_storage to supabase_storage_admin;
comment on schema local_storage is 'Functions of the embedded Storage server. A hosted project has no such schema.';

-- Roles ------------------------------------------------------------------------------------------------------------

-- Sets what triggers and policies may look at. Without a role it stays the tables' owner.
-- This must stay plpgsql without a SET clause: a SET clause would undo the role when the function returns.
create function local_storage.become(p_role text, p_claims text, p_operation text) returns void
language plpgsql as $$
begin
    perform set_config('storage.operation', p_operation, true),
            set_config('storage.allow_delete_query', 'true', true);
    if p_role is not null then
        perform set_config('request.jwt.claims', p_claims, true),
                set_config('request.jwt.claim.role', p_role, true),
                set_config('request.jwt.claim.sub', coalesce(p_claims::jsonb ->> 'sub', ''), true),
                set_config('role', p_role, true);
    end if;
end
$$;

-- The owner is the token's subject; the old column `owner` takes it only when it is a uuid. Called before the role
-- changes, in DECLARE.
create function local_storage.uuid_or_null(p_text text) returns uuid language sql immutable as $$
    select case when p_text ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}$'
                then p_text::uuid end
$$;

-- Reading ----------------------------------------------------------------------------------------------------------

-- One object for a download, an info or a signed URL. p_view says whose eyes: 'caller' (a public bucket needs no
-- policy, a missing role sees only public buckets), 'public' (the bucket must be public), 'signed' (no policy), or
-- 'plain' (the policies decide, and a missing bucket is a missing object).
create function local_storage.see(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_view text,
    out verdict text, out id uuid, out version text, out metadata text, out user_metadata text,
    out created_at text, out updated_at text
) language plpgsql as $$
declare
    v_public boolean;
    v_object storage.objects;
begin
    if p_view in ('caller', 'public') then
        select b.public into v_public from storage.buckets b where b.id = p_bucket;
        if v_public is null or not v_public and (p_role is null or p_view = 'public') then
            verdict := 'bucket';
            return;
        end if;
    end if;
    if p_view = 'plain' or not v_public then
        perform local_storage.become(p_role, p_claims, p_operation);
    end if;
    select * into v_object from storage.objects o where o.bucket_id = p_bucket and o.name = p_name;
    if v_object.id is null then
        verdict := 'key';
        return;
    end if;
    verdict := 'found';
    id := v_object.id;
    version := v_object.version;
    metadata := v_object.metadata;
    user_metadata := v_object.user_metadata;
    created_at := to_char(v_object.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    updated_at := to_char(v_object.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
end
$$;

create function local_storage.names_seen(
    p_role text, p_claims text, p_operation text, p_bucket text, p_names text[]
) returns text[] language plpgsql as $$
declare
    v_names text[];
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    select array_agg(o.name) into v_names from storage.objects o where o.bucket_id = p_bucket and o.name = any (p_names);
    return coalesce(v_names, '{}');
end
$$;

-- One level of a bucket. The prefix is compared without case, as the real server's search does. By name, folders and
-- objects are sorted together; by a time, the folders come first. At most 1500 entries, whatever is asked for.
create function local_storage.list(
    p_role text, p_claims text, p_operation text, p_bucket text, p_prefix text, p_search text,
    p_limit integer, p_offset integer, p_column text, p_order text
) returns text language plpgsql as $$
declare
    v_start integer := length(p_prefix || p_search);
    v_items text;
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    execute format($query$
        with below as (
            select o.*, strpos(substr(o.name, $1 + 1), '/') as slash
            from storage.objects o
            where o.bucket_id = $2 and starts_with(lower(o.name), lower($3 || $4))
        ), entries as (
            select b.name as entry, b.id, b.updated_at, b.created_at, b.last_accessed_at, b.metadata
            from below b where b.slash = 0
            union all
            select min(left(b.name, $1 + b.slash - 1)), null, null, null, null, null
            from below b where b.slash > 0 group by lower(left(b.name, $1 + b.slash - 1))
        ), page as (
            select row_number() over (order by %1$s) as place, e.* from entries e order by %1$s
            limit least($5, 1500) offset $6
        )
        select json_agg(json_build_object(
            'name', substr(p.entry, length($3) + 1), 'id', p.id,
            'updated_at', to_char(p.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'created_at', to_char(p.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'last_accessed_at', to_char(p.last_accessed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'metadata', p.metadata) order by p.place)::text
        from page p
    $query$, format(
        case when p_column in ('updated_at', 'created_at', 'last_accessed_at')
             then 'e.id is not null, e.%1$I %2$s, e.entry collate "C" %2$s'
             else 'lower(e.entry) collate "C" %2$s, e.entry collate "C" %2$s, e.id is not null %2$s' end,
        p_column, case when p_order = 'desc' then 'desc' else 'asc' end))
    into v_items using v_start, p_bucket, p_prefix, p_search, p_limit, p_offset;
    return coalesce(v_items, '[]');
end
$$;

-- One page of list-v2 as rows; the server makes folders, objects and the cursor of it. With a delimiter everything
-- below a folder is one entry with a slash at its end. A folder has no times; in an order by time it stands at the
-- epoch. The cursor carries milliseconds, so times are compared at that precision.
create function local_storage.list_v2(
    p_role text, p_claims text, p_operation text, p_bucket text, p_prefix text, p_delimited boolean,
    p_limit integer, p_after text, p_column text, p_column_after text, p_order text
) returns table (
    key text, name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz,
    metadata text
) language plpgsql as $$
declare
    v_time  text := case when p_column in ('created_at', 'updated_at') then p_column end;
    v_order text := case when p_order = 'desc' then 'desc' else 'asc' end;
    v_sign  text := case when p_order = 'desc' then '<' else '>' end;
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    return query execute format($query$
        with below as (
            select o.*, length($2) + strpos(substr(o.name, length($2) + 1), '/') as slash,
                   $3 and strpos(substr(o.name, length($2) + 1), '/') > 0 as folder
            from storage.objects o
            where o.bucket_id = $1 and starts_with(o.name, $2)
        ), entries as (
            select b.name as entry, b.id, b.updated_at, b.created_at, b.last_accessed_at, b.metadata::text as metadata
            from below b where not b.folder
            union all
            select distinct left(b.name, b.slash), null::uuid, null::timestamptz, null::timestamptz, null::timestamptz,
                   null::text
            from below b where b.folder
        ), placed as (
            select e.*, date_trunc('milliseconds', coalesce(%1$s, 'epoch')) as moment from entries e
        )
        select substr(rtrim(p.entry, '/'), length(regexp_replace($2, '[^/]*$', '')) + 1),
               p.entry, p.id, p.updated_at, p.created_at, p.last_accessed_at, p.metadata
        from placed p
        where $4 = '' or (p.moment, p.entry collate "C") %2$s (coalesce(nullif($5, '')::timestamptz, 'epoch'), $4)
        order by p.moment %3$s, p.entry collate "C" %3$s
        limit $6
    $query$, coalesce('e.' || quote_ident(v_time), 'null::timestamptz'), v_sign, v_order)
    using p_bucket, p_prefix, p_delimited, p_after, p_column_after, p_limit;
end
$$;

-- Writing ----------------------------------------------------------------------------------------------------------

-- Whether the caller's policies let this row in. The row is tried and taken back; it looks as it does on the real
-- server during the check: version '1', the declared length, the type, the owner. An upsert asks for RETURNING,
-- which is why it needs SELECT too.
create function local_storage.admit(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_upsert boolean,
    p_declared jsonb, p_user_metadata jsonb
) returns void language plpgsql as $$
declare
    v_id uuid;
    v_owner_id text := p_claims::jsonb ->> 'sub';
    v_owner uuid := local_storage.uuid_or_null(v_owner_id);
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    if p_upsert then
        insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (p_bucket, p_name, v_owner, v_owner_id, '1', p_declared, p_user_metadata)
        on conflict (bucket_id, name) do update
        set version = excluded.version, metadata = excluded.metadata,
            user_metadata = coalesce(excluded.user_metadata, o.user_metadata),
            owner = coalesce(excluded.owner, o.owner), owner_id = coalesce(excluded.owner_id, o.owner_id)
        returning o.id into v_id;
    else
        insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (p_bucket, p_name, v_owner, v_owner_id, '1', p_declared, p_user_metadata);
    end if;
    raise exception using errcode = 'LSADM', message = 'admitted';
exception
    when sqlstate 'LSADM' then
        return;
end
$$;

-- Why a bucket won't take this, or null: 'bucket' (there is none), 'mime', 'size'. A null type or size isn't checked.
create function local_storage.refusal(p_bucket text, p_mime text, p_size bigint, p_ceiling bigint,
                                                 out reason text, out size_limit bigint)
language plpgsql as $$
declare
    v_bucket storage.buckets;
begin
    select * into v_bucket from storage.buckets b where b.id = p_bucket;
    if v_bucket.id is null then
        reason := 'bucket';
        return;
    end if;
    size_limit := least(p_ceiling, v_bucket.file_size_limit);
    if p_mime is not null and cardinality(v_bucket.allowed_mime_types) > 0 and not exists (
        select from unnest(v_bucket.allowed_mime_types) as allowed
        where split_part(allowed, '/', 1) = split_part(p_mime, '/', 1)
          and split_part(allowed, '/', 2) in ('*', split_part(p_mime, '/', 2))
    ) then
        reason := 'mime';
    elsif p_size > size_limit then
        reason := 'size';
    end if;
end
$$;

-- Before the bytes of a large upload: everything that can be refused early, and the limit to hold it to.
create function local_storage.open_upload(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_upsert boolean,
    p_declared jsonb, p_user_metadata jsonb, p_mime text, p_declared_size bigint, p_ceiling bigint,
    out reason text, out size_limit bigint
) language plpgsql as $$
begin
    select r.reason, r.size_limit into reason, size_limit
    from local_storage.refusal(p_bucket, p_mime, p_declared_size, p_ceiling) r;
    if reason is null then
        perform local_storage.admit(p_role, p_claims, p_operation, p_bucket, p_name, p_upsert,
                                    p_declared, p_user_metadata);
    end if;
end
$$;

-- The row of an object whose bytes are on disk, as the tables' owner. Without upsert this is a plain INSERT, so of
-- two overlapping uploads one gets 23505 (supabase/storage#1392; older servers let both through). With upsert the
-- lock tells which version was replaced, so that its bytes go and no others.
create function local_storage.put(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_upsert boolean,
    p_metadata jsonb, p_user_metadata jsonb, p_version text, out id uuid, out replaced text
) language plpgsql as $$
declare
    v_owner_id text := p_claims::jsonb ->> 'sub';
    v_owner uuid := local_storage.uuid_or_null(v_owner_id);
begin
    perform local_storage.become(null, null, p_operation);
    if p_upsert then
        perform pg_advisory_xact_lock(hashtextextended(p_bucket || '/' || p_name, 0));
        select o.version into replaced from storage.objects o
        where o.bucket_id = p_bucket and o.name = p_name for update;
        insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (p_bucket, p_name, v_owner, v_owner_id, p_version, p_metadata, p_user_metadata)
        on conflict (bucket_id, name) do update
        set version = excluded.version, metadata = excluded.metadata, user_metadata = excluded.user_metadata,
            owner = coalesce(excluded.owner, o.owner), owner_id = coalesce(excluded.owner_id, o.owner_id)
        returning o.id into id;
    else
        insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
        values (p_bucket, p_name, v_owner, v_owner_id, p_version, p_metadata, p_user_metadata)
        returning o.id into id;
    end if;
end
$$;

-- A small upload, whose bytes are already on disk: limits, policies and row in one round trip.
-- A multipart body's size is only known at its end, so the real server asks the policies before it; a raw body's
-- declared size comes first.
create function local_storage.upload(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_upsert boolean,
    p_declared jsonb, p_admit_metadata jsonb, p_mime text, p_declared_size bigint, p_ceiling bigint,
    p_metadata jsonb, p_user_metadata jsonb, p_version text, p_size bigint,
    out reason text, out id uuid, out replaced text
) language plpgsql as $$
declare
    v_limit bigint;
begin
    select u.reason, u.size_limit into reason, v_limit
    from local_storage.open_upload(p_role, p_claims, p_operation, p_bucket, p_name, p_upsert,
                                   p_declared, p_admit_metadata, p_mime, p_declared_size, p_ceiling) u;
    if reason is null and p_size > v_limit then
        reason := 'size';
    end if;
    if reason is null then
        select s.id, s.replaced into id, replaced
        from local_storage.put(p_role, p_claims, p_operation, p_bucket, p_name, p_upsert,
                               p_metadata, p_user_metadata, p_version) s;
    end if;
end
$$;

-- Deletes what the caller's policies let it see and delete; what is neither is absent from the answer.
create function local_storage.remove(
    p_role text, p_claims text, p_operation text, p_bucket text, p_names text[]
) returns table (name text, version text, shown text) language plpgsql as $$
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    return query
        with gone as (
            delete from storage.objects o where o.bucket_id = p_bucket and o.name = any (p_names) returning o.*
        )
        select g.name, g.version, json_build_object(
            'name', g.name, 'bucket_id', g.bucket_id, 'owner', coalesce(g.owner::text, ''),
            'owner_id', coalesce(g.owner_id, ''), 'version', g.version, 'id', g.id,
            'updated_at', to_char(g.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'created_at', to_char(g.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'last_accessed_at', to_char(g.last_accessed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'metadata', g.metadata, 'user_metadata', g.user_metadata)::text
        from gone g;
end
$$;

-- The single DELETE first asks as the owner whether the key exists, and so tells anybody.
create function local_storage.remove_one(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, out verdict text, out version text
) language plpgsql as $$
begin
    select o.version into version from storage.objects o
    where o.bucket_id = p_bucket and o.name = p_name for update;
    if not found then
        verdict := 'key';
        return;
    end if;
    perform local_storage.become(p_role, p_claims, p_operation);
    delete from storage.objects o where o.bucket_id = p_bucket and o.name = p_name;
    verdict := case when found then 'removed' else 'denied' end;
end
$$;

-- Whether the caller may move the object: it must see it, and an UPDATE of it must change a row.
create function local_storage.admit_move(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text,
    p_to_bucket text, p_to_name text, p_version text, out verdict text, out id uuid, out version text
) language plpgsql as $$
declare
    v_owner_id text := p_claims::jsonb ->> 'sub';
    v_owner uuid := local_storage.uuid_or_null(v_owner_id);
begin
    begin
        perform local_storage.become(p_role, p_claims, p_operation);
        perform from storage.objects o where o.bucket_id = p_bucket and o.name = p_name;
        if found then
            update storage.objects o
            set bucket_id = p_to_bucket, name = p_to_name, version = p_version,
                owner = coalesce(v_owner, o.owner), owner_id = coalesce(v_owner_id, o.owner_id)
            where o.bucket_id = p_bucket and o.name = p_name;
        end if;
        verdict := case when found then 'admitted' else 'key' end;
        raise exception using errcode = 'LSADM', message = 'admitted';
    exception
        when sqlstate 'LSADM' then
            null;
    end;
    select o.id, o.version into id, version from storage.objects o where o.bucket_id = p_bucket and o.name = p_name;
    if not found then
        verdict := 'key';
    end if;
end
$$;

-- The move itself, as the owner, if the object is still the one whose bytes were linked to their new place.
create function local_storage.move(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_old_version text,
    p_to_bucket text, p_to_name text, p_version text, p_modified text,
    out id uuid
) language plpgsql as $$
declare
    v_owner_id text := p_claims::jsonb ->> 'sub';
    v_owner uuid := local_storage.uuid_or_null(v_owner_id);
begin
    perform local_storage.become(null, null, p_operation);
    update storage.objects o
    set bucket_id = p_to_bucket, name = p_to_name, version = p_version, owner_id = coalesce(v_owner_id, o.owner_id),
        owner = coalesce(v_owner, o.owner),
        metadata = o.metadata || jsonb_build_object('lastModified', p_modified)
    where o.bucket_id = p_bucket and o.name = p_name and o.version is not distinct from p_old_version
    returning o.id into id;
end
$$;

-- What a copy needs to know of its source, and whether the caller may write the target.
create function local_storage.admit_copy(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text,
    p_to_bucket text, p_to_name text, p_upsert boolean, p_changes jsonb, p_keep_metadata boolean, p_user_metadata jsonb,
    out verdict text, out version text, out metadata jsonb, out user_metadata jsonb
) language plpgsql as $$
begin
    begin
        perform local_storage.become(p_role, p_claims, p_operation);
        select o.version, o.metadata, o.user_metadata into version, metadata, user_metadata
        from storage.objects o where o.bucket_id = p_bucket and o.name = p_name;
        verdict := case when found then 'admitted' else 'key' end;
        raise exception using errcode = 'LSADM', message = 'back to the owner';
    exception
        when sqlstate 'LSADM' then
            null;
    end;
    if verdict = 'key' then
        return;
    end if;
    metadata := coalesce(metadata, '{}');
    if not p_keep_metadata then
        metadata := metadata || coalesce(p_changes, '{}');
        user_metadata := p_user_metadata;
    end if;
    perform local_storage.admit(p_role, p_claims, p_operation, p_to_bucket, p_to_name, p_upsert,
                                metadata, user_metadata);
end
$$;

-- An object's row as the API shows it; only for the owner's eyes, since no other role can call it.
create function local_storage.shown(g storage.objects) returns text language sql stable as $$
    select json_build_object(
            'name', g.name, 'bucket_id', g.bucket_id, 'owner', coalesce(g.owner::text, ''),
            'owner_id', coalesce(g.owner_id, ''), 'version', g.version, 'id', g.id,
            'updated_at', to_char(g.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'created_at', to_char(g.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'last_accessed_at', to_char(g.last_accessed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'metadata', g.metadata, 'user_metadata', g.user_metadata)::text
$$;

-- The row of a copy whose bytes have been linked: `put`, with the new time, and the row as it is shown.
create function local_storage.put_copy(
    p_role text, p_claims text, p_operation text, p_bucket text, p_name text, p_upsert boolean,
    p_metadata jsonb, p_user_metadata jsonb, p_version text, p_modified text,
    out id uuid, out replaced text, out shown text
) language plpgsql as $$
declare
    v_metadata jsonb := p_metadata || jsonb_build_object('lastModified', p_modified);
begin
    select s.id, s.replaced into id, replaced
    from local_storage.put(p_role, p_claims, p_operation, p_bucket, p_name, p_upsert,
                           v_metadata, p_user_metadata, p_version) s;
    select local_storage.shown(o) into shown from storage.objects o where o.bucket_id = p_bucket and o.name = p_name;
end
$$;

-- Buckets ----------------------------------------------------------------------------------------------------------

create function local_storage.create_bucket(
    p_role text, p_claims text, p_operation text, p_id text, p_name text, p_public boolean, p_size bigint, p_mimes text[]
) returns void language plpgsql as $$
declare
    v_owner_id text := p_claims::jsonb ->> 'sub';
    v_owner uuid := local_storage.uuid_or_null(v_owner_id);
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types)
    values (p_id, p_name, v_owner, v_owner_id, p_public, p_size, p_mimes);
end
$$;

create function local_storage.get_bucket(p_role text, p_claims text, p_operation text, p_id text) returns text
language plpgsql as $$
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    return (
        select json_build_object(
            'id', b.id, 'name', b.name, 'owner', coalesce(b.owner::text, ''), 'public', b.public,
            'created_at', to_char(b.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'updated_at', to_char(b.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'file_size_limit', b.file_size_limit, 'allowed_mime_types', b.allowed_mime_types)::text
        from storage.buckets b where b.id = p_id
    );
end
$$;

create function local_storage.list_buckets(
    p_role text, p_claims text, p_operation text, p_limit integer, p_offset integer, p_column text, p_order text,
    p_search text
) returns text language plpgsql as $$
declare
    v_list text;
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    execute format($query$
        select json_agg(json_build_object(
            'id', b.id, 'name', b.name, 'owner', coalesce(b.owner::text, ''), 'public', b.public, 'type', b.type,
            'created_at', to_char(b.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'updated_at', to_char(b.updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'file_size_limit', b.file_size_limit, 'allowed_mime_types', b.allowed_mime_types))::text
        from (select * from storage.buckets b where strpos(lower(b.name), lower($1)) > 0
              order by b.%I %s limit $2 offset $3) b
    $query$, p_column, case when p_order = 'desc' then 'desc' else 'asc' end)
    into v_list using p_search, p_limit, p_offset;
    return coalesce(v_list, '[]');
end
$$;

-- Whether a bucket was changed; one that the caller doesn't see isn't.
create function local_storage.update_bucket(
    p_role text, p_claims text, p_operation text, p_id text, p_public boolean,
    p_set_size boolean, p_size bigint, p_set_mimes boolean, p_mimes text[]
) returns boolean language plpgsql as $$
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    update storage.buckets b
    set public = coalesce(p_public, b.public),
        file_size_limit = case when p_set_size then p_size else b.file_size_limit end,
        allowed_mime_types = case when p_set_mimes then p_mimes else b.allowed_mime_types end,
        updated_at = now()
    where b.id = p_id;
    return found;
end
$$;

create function local_storage.delete_bucket(p_role text, p_claims text, p_operation text, p_id text) returns text
language plpgsql as $$
begin
    perform from storage.buckets b where b.id = p_id for update;
    if not found then
        return 'bucket';
    end if;
    perform from storage.objects o where o.bucket_id = p_id limit 1;
    if found then
        return 'filled';
    end if;
    perform local_storage.become(p_role, p_claims, p_operation);
    delete from storage.buckets b where b.id = p_id;
    return case when found then 'deleted' else 'bucket' end;
end
$$;

-- Deletes every object of a bucket; one row with nulls says that there is such a bucket.
create function local_storage.empty_bucket(
    p_role text, p_claims text, p_operation text, p_id text
) returns table (name text, version text) language plpgsql as $$
begin
    perform local_storage.become(p_role, p_claims, p_operation);
    perform from storage.buckets b where b.id = p_id;
    if not found then
        return;
    end if;
    return query select null::text, null::text;
    return query delete from storage.objects o where o.bucket_id = p_id returning o.name, o.version;
end
$$;

revoke all on all functions in schema local_storage from public;
grant execute on all functions in schema local_storage to supabase_storage_admin;
