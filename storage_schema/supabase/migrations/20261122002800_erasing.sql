-- Erasing: the one way in which bytes leave. An owner names a content by its hash; from that moment nobody is given
-- its bytes, and nobody brings them back. Versions and hashes stay as they are, so the chain still verifies.
--
--   preview_erasure   what would be touched
--   erase_content     the record, the event, the blobs let go: one transaction
--   …                 the objects are deleted through Storage, by an owner's own token (the policy below)
--   finish_erasure    the objects are gone: noted, once
--
-- The record comes first, so what breaks off half-way is an erasure that waits for its end, never bytes that
-- went without one. Any owner goes on with it.

create table public.erasures (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects,
  sequence bigint not null,
  sha256 public.sha256_hex not null,
  size bigint not null constraint erasures_size_positive check (size > 0),
  reason text not null
    constraint erasures_reason_length check (char_length(reason) between 1 and 1000)
    constraint erasures_reason_control check (reason !~ '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]'),
  versions integer not null constraint erasures_versions_positive check (versions > 0),
  erased_by uuid not null references public.profiles,
  erased_at timestamptz not null default now(),
  constraint erasures_content_key unique (project_id, sha256),
  constraint erasures_event_fkey foreign key (project_id, sequence) references public.events (project_id, sequence)
    deferrable initially deferred
);
create unique index erasures_event_key on public.erasures (project_id, sequence);
create index erasures_erased_by_idx on public.erasures (erased_by);
alter table public.erasures enable row level security;

comment on table public.erasures is 'Contents whose bytes were erased for legal reasons: by whom, when, why. Never changed, never taken back.';
comment on column public.erasures.id is 'Stable id.';
comment on column public.erasures.project_id is 'The project. The same content in another project is another matter.';
comment on column public.erasures.sequence is 'The event that tells of it: erasures in their order.';
comment on column public.erasures.sha256 is 'The content.';
comment on column public.erasures.size is 'Bytes that it had.';
comment on column public.erasures.reason is 'Why, in the owner''s words; every member may read it.';
comment on column public.erasures.versions is 'How many versions had this content then.';
comment on column public.erasures.erased_by is 'The owner who did it.';
comment on column public.erasures.erased_at is 'Since when nobody is given the bytes.';

create table public.finished_erasures (
  erasure_id uuid primary key references public.erasures,
  project_id uuid not null references public.projects,
  finished_by uuid not null references public.profiles,
  finished_at timestamptz not null default now()
);
create index finished_erasures_project_id_idx on public.finished_erasures (project_id);
create index finished_erasures_finished_by_idx on public.finished_erasures (finished_by);
alter table public.finished_erasures enable row level security;

comment on table public.finished_erasures is 'Erasures of which storage has no object any more.';
comment on column public.finished_erasures.erasure_id is 'The erasure.';
comment on column public.finished_erasures.project_id is 'The project.';
comment on column public.finished_erasures.finished_by is 'The owner whose request deleted the last object.';
comment on column public.finished_erasures.finished_at is 'When there was none left.';

create policy "members read the erasures of their projects" on public.erasures
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read which erasures of their projects are finished" on public.finished_erasures
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.erasures, public.finished_erasures from anon, authenticated, service_role;
grant select on public.erasures, public.finished_erasures to authenticated, service_role;
create trigger erasures_are_history before update or delete on public.erasures
  for each row execute function private.refuse_rewrite();
create trigger erasures_are_kept before truncate on public.erasures
  for each statement execute function private.refuse_rewrite();
create trigger finished_erasures_are_history before update or delete on public.finished_erasures
  for each row execute function private.refuse_rewrite();
create trigger finished_erasures_are_kept before truncate on public.finished_erasures
  for each statement execute function private.refuse_rewrite();

-- One word for one content of one project: what is uploaded and what is erased wait for each other by it.
create function private.content_lock(project uuid, content text)
returns bigint
language sql immutable
set search_path = ''
as $$ select hashtextextended('verso content ' || project || '/' || content, 0) $$;
comment on function private.content_lock is 'The advisory lock of a content: shared by uploads and texts, held alone by erasing.';

-- Blobs change in one way only, once, and only along with the record of it.
create function private.keep_blob()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and old.erased_at is null and new.erased_at is not null
    and to_jsonb(new) - 'erased_at' - 'held_object' = to_jsonb(old) - 'erased_at' - 'held_object'
    and exists (select from public.erasures e where e.project_id = old.project_id and e.sha256 = old.sha256) then
    return new;
  end if;
  perform private.fail(403, 'immutable', 'Blobs are history and never change. Their bytes go by erasing only, and never come back.');
  return null;
end
$$;
comment on function private.keep_blob is 'Refuses changes of blobs, except that the bytes of a recorded erasure are let go.';
drop trigger blobs_are_history on public.blobs;
drop trigger blobs_are_kept on public.blobs;
create trigger blobs_are_history before update or delete on public.blobs
  for each row execute function private.keep_blob();
create trigger blobs_are_kept before truncate on public.blobs
  for each statement execute function private.keep_blob();

-- A blob of an erased content is an erased one from the start: so histories with erasures can be put back.
create function private.refuse_erased_blob()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if (new.erased_at is not null) <> exists (
    select from public.erasures e where e.project_id = new.project_id and e.sha256 = new.sha256) then
    perform private.fail(410, 'content_erased', 'This content was erased from the project and can''t come back.',
      jsonb_build_object('sha256', new.sha256));
  end if;
  return new;
end
$$;
comment on function private.refuse_erased_blob is 'Refuses a blob of an erased content that has bytes, and one without bytes whose content was not erased.';
create trigger blobs_of_erased_contents before insert on public.blobs
  for each row execute function private.refuse_erased_blob();

-- Whoever brings a text has seen that its bytes were there; an erasure that is written meanwhile has to be waited for, and
-- one that comes later finds the text.
create function private.leave_out_erased_text()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock_shared(private.content_lock(new.project_id, new.sha256));
  if exists (select from public.erasures e where e.project_id = new.project_id and e.sha256 = new.sha256) then
    return null;
  end if;
  return new;
end
$$;
comment on function private.leave_out_erased_text is 'Leaves texts of erased contents out, for every role.';
create trigger texts_of_erased_contents before insert on public.texts
  for each row execute function private.leave_out_erased_text();

-- Storage ---------------------------------------------------------------------------------------

-- Runs as its owner: the storage server's own role reads none of these tables, and must be refused, too.
create function private.refuse_erased_object()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  project uuid := private.uuid_or_null(split_part(new.name, '/', 1));
  content text := left(split_part(new.name, '/', 2), 64);
begin
  if new.bucket_id = 'documents' and project is not null then
    -- An erasure that is being written has to be waited for; one that comes later finds this object.
    perform pg_advisory_xact_lock_shared(private.content_lock(project, content));
    if exists (select from public.erasures e where e.project_id = project and e.sha256 = content) then
      raise exception using errcode = '42501', message = 'This content was erased from the project and can''t come back.';
    end if;
  end if;
  return new;
end
$$;
comment on function private.refuse_erased_object is 'Keeps erased contents out of the bucket, for every role.';
create trigger verso_refuse_erased_object before insert on storage.objects
  for each row execute function private.refuse_erased_object();

create function private.may_delete_object(name text)
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select exists (
    select from public.erasures e
    where e.project_id = private.uuid_or_null(split_part(name, '/', 1)) and e.sha256 = left(split_part(name, '/', 2), 64)
      and e.project_id in (select private.my_projects('owner')))
$$;
comment on function private.may_delete_object is 'Whether the caller may delete an object: its content was erased, and they own its project.';
grant execute on function private.may_delete_object to authenticated;

-- The foreign key of blobs holds what isn't erased, whoever deletes.
create policy "owners delete the objects of erased contents" on storage.objects
  for delete to authenticated using (bucket_id = 'documents' and private.may_delete_object(name));

create function private.is_erased_object(name text)
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select exists (
    select from public.erasures e
    where e.project_id = private.uuid_or_null(split_part(name, '/', 1)) and e.sha256 = left(split_part(name, '/', 2), 64))
$$;
comment on function private.is_erased_object is 'Whether an object''s content was erased from its project.';
grant execute on function private.is_erased_object to authenticated;

-- Between the record and the deletion storage still has the bytes, and a member with a token of their own could ask storage for them.
-- Who deletes has to see the row, though: the server says what it is doing in `storage.operation` (newer ones leave the prefix
-- out). To one that says nothing an owner is somebody who deletes: else nothing would ever be.
create policy "nobody reads the objects of erased contents" on storage.objects as restrictive
  for select to authenticated using (
    bucket_id <> 'documents'
    or not private.is_erased_object(name)
    or (select coalesce(current_setting('storage.operation', true), '') ~ '^((storage\.)?object\.delete|$)') and private.may_delete_object(name));

-- With the name in the text of the query, because a pattern that comes as a parameter finds no index.
create function private.erased_objects(project uuid, content text)
returns text[]
language plpgsql stable security definer
set search_path = ''
as $$
declare
  names text[];
begin
  execute format('select array_agg(o.name order by o.name) from storage.objects o where o.bucket_id = %L and o.name like %L',
    'documents', project || '/' || content || '%') into names;
  return coalesce(names, '{}');
end
$$;
comment on function private.erased_objects is 'The objects that storage still has of a content: those that versions use, and those that nobody does.';

-- Reading ---------------------------------------------------------------------------------------

create view public.erasure_details with (security_invoker = true) as
  select e.id, e.project_id as project, e.sequence, e.sha256::text, e.size, e.reason, e.versions,
         coalesce(to_jsonb(p), jsonb_build_object('id', e.erased_by)) as erased_by, e.erased_at, f.finished_at
  from public.erasures e
  left join public.people p on p.id = e.erased_by
  left join public.finished_erasures f on f.erasure_id = e.id;
comment on view public.erasure_details is 'Erasures as answers show them.';
revoke all on public.erasure_details from anon, authenticated, service_role;
grant select on public.erasure_details to authenticated;

create function public.list_erasures(project text, pending boolean default false, before bigint default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (
    select coalesce(jsonb_agg(to_jsonb(d) order by d.sequence desc), '[]')
    from (select * from public.erasure_details x
          where x.project = target and (not pending or x.finished_at is null) and (before is null or x.sequence < before)
          order by x.sequence desc limit private.page_rows(page_size)) d);
end
$$;
comment on function public.list_erasures is 'A project''s erasures, newest first; or those of them whose objects are not all gone yet.';

create function public.count_erasures(project text)
returns bigint
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (select count(*) from public.erasures e where e.project_id = target);
end
$$;
comment on function public.count_erasures is 'How many contents of a project were erased: by it a copy of the project knows that it holds too much.';

create function private.erased_versions(project uuid, content text)
returns setof public.versions
language sql stable
set search_path = ''
as $$
  select v.* from public.blobs b join public.versions v on v.object_id = b.object_id
  where b.project_id = project and b.sha256 = content
$$;
comment on function private.erased_versions is 'The versions that have a content.';
grant execute on function private.erased_versions to authenticated;

create function public.preview_erasure(project text, content text default null, version text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  bytes bigint;
begin
  perform private.require_role(target, 'owner');
  if version is not null then
    select v.sha256, v.size into content, bytes from public.versions v where v.hash = version and v.project_id = target;
    if not found then
      perform private.fail(404, 'version_not_found', 'No version of the project has that hash.', jsonb_build_object('version', version));
    elsif content is null then
      perform private.fail(404, 'version_is_delete', 'That version is a delete and has no bytes to erase.', jsonb_build_object('version', version));
    end if;
  else
    select max(b.size) into bytes from public.blobs b where b.project_id = target and b.sha256 = content;
    if bytes is null then
      perform private.fail(404, 'content_not_found', 'No version of the project has that content.', jsonb_build_object('sha256', content));
    end if;
  end if;
  return (
    with touched as materialized (
      select v.hash, v.document_id, v.number, v.path, v.change_sequence, d.live and d.head = v.hash as head
      from private.erased_versions(target, content) v join public.documents d on d.id = v.document_id)
    select jsonb_build_object(
      'sha256', content, 'size', bytes,
      'versions', count(*), 'documents', count(distinct t.document_id), 'heads', count(*) filter (where t.head),
      'tags', (select count(*) from public.tags g where g.project_id = target and g.version in (select x.hash from touched x)),
      'comments', (select count(*) from public.comments c where c.project_id = target and c.version in (select x.hash from touched x)),
      'items', (select coalesce(jsonb_agg(jsonb_build_object('document', x.document_id, 'number', x.number, 'version', x.hash,
                  'path', x.path, 'change', x.change_sequence, 'head', x.head) order by x.change_sequence desc, x.path), '[]')
                from (select * from touched y order by y.change_sequence desc, y.path limit 1000) x),
      'erasure', (select to_jsonb(e) from public.erasure_details e where e.project = target and e.sha256 = content))
    from touched t);
end
$$;
comment on function public.preview_erasure is
  'Owners: what erasing a content, or that of a version, would touch: {sha256, size, versions, documents, heads, tags, comments, items: up to 1000 [{document, number, version, path, change, head}], erasure: the one that was made, or null}.';

-- Erasing ---------------------------------------------------------------------------------------

create function private.erase_content(project uuid, content text, reason text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  known public.erasures;
  affected integer;
  bytes bigint;
  made uuid;
begin
  -- What the law asks for isn't up to an archive.
  perform private.lock_project(project, 'owner', even_archived => true);
  select * into known from public.erasures e where e.project_id = project and e.sha256 = content;
  if known.id is not null then
    return known.id;  -- the same again: whoever asks goes on with it
  end if;
  if btrim(coalesce(reason, ''), E' \n') = '' or char_length(reason) > 1000
    or reason ~ '[\u0001-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]' then
    perform private.fail(422, 'bad_erasure', 'Say why, in 1 to 1,000 characters. The project''s members can read it, so leave out what is erased.');
  end if;
  select max(b.size) into bytes from public.blobs b where b.project_id = project and b.sha256 = content;
  if bytes is null then
    perform private.fail(404, 'content_not_found', 'No version of the project has that content.', jsonb_build_object('sha256', content));
  elsif bytes = 0 then
    perform private.fail(422, 'bad_erasure', 'That is the empty content: it has no bytes to erase, and many documents begin with it.');
  end if;
  perform pg_advisory_xact_lock(private.content_lock(project, content));
  select count(*) into affected from private.erased_versions(project, content);
  perform private.add_event(project, 'content.erased', jsonb_build_object('sha256', content, 'size', bytes, 'versions', affected));
  insert into public.erasures (project_id, sequence, sha256, size, reason, versions, erased_by)
  select project, p.event_sequence, content, bytes, btrim(erase_content.reason, E' \n'), affected, auth.uid() from public.projects p where p.id = project
  returning id into made;
  perform private.let_go(project, content);
  return made;
end
$$;
comment on function private.erase_content is 'Records that a content is erased and lets its objects go. The bytes are deleted by the owner''s next requests.';
grant execute on function private.erase_content to authenticated;

create function private.let_go(project uuid, content text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.blobs b set erased_at = now() where b.project_id = project and b.sha256 = content and b.erased_at is null;
  -- The words of heads go with their text. Attributions stay: they are numbers of lines, and what came later is told by them.
  delete from public.texts t where t.project_id = project and t.sha256 = content;
end
$$;
comment on function private.let_go is 'Lets the objects of a recorded erasure go, and forgets what was derived from their bytes.';

-- Of a bundle: what was erased there is erased here, whether the history is new here or goes on.
create function private.restore_erasures(project uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  here jsonb := jsonb_build_object('project_id', project);
  erased public.erasures;
begin
  for erased in
    select r.* from private.restore_rows s, jsonb_populate_record(null::public.erasures, s.data || here) r
    where s.project_id = project and s.part = 'erasures'
      and not exists (select from public.erasures e where e.project_id = project and e.sha256 = r.sha256)
    order by r.sequence
  loop
    perform pg_advisory_xact_lock(private.content_lock(project, erased.sha256));
    insert into public.erasures values (erased.*);
    perform private.let_go(project, erased.sha256);
    insert into public.blobs (object_id, project_id, sha256, size, name, erased_at)
    select gen_random_uuid(), project, erased.sha256, erased.size, project || '/' || erased.sha256, erased.erased_at
    where not exists (select from public.blobs b where b.project_id = project and b.sha256 = erased.sha256);
  end loop;
  -- That it is finished is said of this storage: where objects are left, an owner goes on with it.
  insert into public.finished_erasures
  select r.* from private.restore_rows s, jsonb_populate_record(null::public.finished_erasures, s.data || here) r
  join public.erasures e on e.id = r.erasure_id and e.project_id = project
  where s.project_id = project and s.part = 'finished_erasures' and private.erased_objects(project, e.sha256) = '{}'
  on conflict do nothing;
end
$$;
comment on function private.restore_erasures is 'Writes the erasures of a bundle, and lets go here what was erased there.';

create function private.finish_erasure(project uuid, erasure uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  erased public.erasures;
begin
  perform private.lock_project(project, 'owner', even_archived => true);
  select * into erased from public.erasures e where e.id = erasure and e.project_id = project;
  if erased.id is null then
    perform private.fail(404, 'erasure_not_found', 'There is no such erasure in this project.');
  end if;
  if private.erased_objects(project, erased.sha256) <> '{}'
    or exists (select from public.finished_erasures f where f.erasure_id = erased.id) then
    return;
  end if;
  insert into public.finished_erasures (erasure_id, project_id, finished_by) values (erased.id, project, auth.uid());
  perform private.add_event(project, 'content.bytes_deleted', jsonb_build_object('sha256', erased.sha256, 'erased', erased.sequence));
end
$$;
comment on function private.finish_erasure is 'Notes that storage has no object of an erased content any more; does nothing while it has one.';
grant execute on function private.finish_erasure to authenticated;

create function private.left_of_erasure(project uuid, erasure uuid)
returns text[]
language plpgsql stable security definer
set search_path = ''
as $$
begin
  perform private.require_role(project, 'owner');
  return (select private.erased_objects(e.project_id, e.sha256) from public.erasures e where e.id = erasure and e.project_id = project);
end
$$;
comment on function private.left_of_erasure is 'Owners: the objects that are still to be deleted.';
grant execute on function private.left_of_erasure to authenticated;

create function public.erase_content(project text, content text, reason text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  made uuid := private.erase_content(target, content, reason);
begin
  return jsonb_build_object(
    'erasure', (select to_jsonb(e) from public.erasure_details e where e.id = made),
    'objects', private.left_of_erasure(target, made));
end
$$;
comment on function public.erase_content is
  'Owners: erases a content by its SHA-256, for ever: {erasure, objects}; the objects are then deleted through Storage. The same again gives the same erasure with what is left.';

create function public.finish_erasure(project text, erasure uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  perform private.finish_erasure(target, erasure);
  return jsonb_build_object(
    'erasure', (select to_jsonb(e) from public.erasure_details e where e.id = erasure),
    'objects', private.left_of_erasure(target, erasure));
end
$$;
comment on function public.finish_erasure is 'Owners: notes that the objects of an erasure are gone: {erasure, objects: those that are not}.';

revoke execute on function public.list_erasures, public.count_erasures, public.preview_erasure, public.erase_content, public.finish_erasure
  from public, anon, service_role;
grant execute on function public.list_erasures, public.count_erasures, public.preview_erasure, public.erase_content, public.finish_erasure
  to authenticated;
revoke execute on all functions in schema private from public;
