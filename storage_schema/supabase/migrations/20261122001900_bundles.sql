-- Bundles: all rows of a project as they are, for a file that anyone can check, and the way back in.
--
-- Reading is a member's. Putting a project back is an operator's act with the secret key: rows are staged, and one
-- transaction writes them all or none. The triggers of 0800 compute every hash anew from what is written, so a
-- bundle that was tampered with is refused by the same rules that refuse any other broken chain.

-- Times are written alike wherever a bundle is made: without this, the session's time zone would show.
create function public.list_rows(project text, part text, after text default null, page_size integer default 1000)
returns jsonb
language plpgsql stable
set search_path = ''
set timezone = 'UTC'
as $$
declare
  target uuid := private.project_id(project);
  size integer := private.page_rows(page_size);
  numbered bigint := case when after ~ '^[0-9]{1,18}$' then after::bigint else 0 end;
  known uuid := coalesce(private.uuid_or_null(after), '00000000-0000-0000-0000-000000000000');
  page bigint[];
  found_rows jsonb;
begin
  case part
  when 'project' then
    select jsonb_agg(jsonb_build_object('key', p.id, 'row', to_jsonb(p))) into found_rows from public.projects p
    where p.id = target and after is null;
  when 'profiles' then
    select jsonb_agg(jsonb_build_object('key', r.id, 'row', to_jsonb(r) - 'account_deleted_at') order by r.id) into found_rows
    from (select p.* from public.acquaintances a join public.profiles p on p.id = a.user_id
          where a.project_id = target and a.user_id > known order by a.user_id limit size) r;
  when 'acquaintances' then
    select jsonb_agg(jsonb_build_object('key', r.user_id, 'row', to_jsonb(r) - 'project_id') order by r.user_id) into found_rows
    from (select * from public.acquaintances a where a.project_id = target and a.user_id > known order by a.user_id limit size) r;
  when 'members' then
    select jsonb_agg(jsonb_build_object('key', r.user_id, 'row', to_jsonb(r) - 'project_id') order by r.user_id) into found_rows
    from (select * from public.members m where m.project_id = target and m.user_id > known order by m.user_id limit size) r;
  when 'sessions' then
    select jsonb_agg(jsonb_build_object('key', r.id, 'row', to_jsonb(r) - 'project_id') order by r.id) into found_rows
    from (select * from public.sessions s where s.project_id = target and s.id > known order by s.id limit size) r;
  when 'documents' then
    select jsonb_agg(jsonb_build_object('key', r.id, 'row', to_jsonb(r) - 'project_id') order by r.id) into found_rows
    from (select * from public.documents d where d.project_id = target and d.id > known order by d.id limit size) r;
  when 'changes' then
    -- A page ends before it gets heavy; a change is never cut, however heavy it is.
    page := array(
      select w.sequence from (
        select c.sequence, row_number() over running as n,
               sum(c.version_count + octet_length(c.message) / 500 + coalesce(octet_length(c.origin), 0) / 500) over running as weight
        from (select * from public.changes c where c.project_id = target and c.sequence > numbered order by c.sequence limit size) c
        window running as (order by c.sequence)) w
      where w.n = 1 or w.weight <= 5000);
    select jsonb_agg(jsonb_build_object('key', c.sequence::text, 'row',
             to_jsonb(c) - 'project_id' || jsonb_build_object('versions', w.versions)) order by c.sequence)
    into found_rows
    from unnest(page) u (sequence)
    -- One by one, as list_history does it.
    cross join lateral (select * from public.changes x where x.project_id = target and x.sequence = u.sequence offset 0) c
    cross join lateral (
      select coalesce(jsonb_agg(to_jsonb(v) - 'project_id' - 'change_sequence' - 'object_id' order by v.position), '[]') as versions
      from public.versions v where v.project_id = target and v.change_sequence = u.sequence) w;
  when 'events' then
    select jsonb_agg(jsonb_build_object('key', r.sequence::text, 'row', to_jsonb(r) - 'project_id') order by r.sequence) into found_rows
    from (select * from public.events e where e.project_id = target and e.sequence > numbered order by e.sequence limit size) r;
  when 'tags' then
    select jsonb_agg(jsonb_build_object('key', r.name, 'row', to_jsonb(r) - 'project_id') order by r.name) into found_rows
    from (select * from public.tags t where t.project_id = target and t.name > coalesce(after, '') order by t.name limit size) r;
  when 'comments' then
    select jsonb_agg(jsonb_build_object('key', r.sequence::text, 'row', to_jsonb(r) - 'project_id') order by r.sequence) into found_rows
    from (select * from public.comments c where c.project_id = target and c.sequence > numbered order by c.sequence limit size) r;
  when 'comment_texts' then
    select jsonb_agg(jsonb_build_object('key', r.comment_id, 'row', to_jsonb(r) - 'project_id') order by r.comment_id) into found_rows
    from (select * from public.comment_texts t where t.project_id = target and t.comment_id > known order by t.comment_id limit size) r;
  when 'comment_acts' then
    select jsonb_agg(jsonb_build_object('key', r.sequence::text, 'row', to_jsonb(r) - 'project_id') order by r.sequence) into found_rows
    from (select * from public.comment_acts a where a.project_id = target and a.sequence > numbered order by a.sequence limit size) r;
  when 'reviews' then
    select jsonb_agg(jsonb_build_object('key', r.sequence::text, 'row', to_jsonb(r) - 'project_id') order by r.sequence) into found_rows
    from (select * from public.reviews v where v.project_id = target and v.sequence > numbered order by v.sequence limit size) r;
  when 'erasures' then
    select jsonb_agg(jsonb_build_object('key', r.sequence::text, 'row', to_jsonb(r) - 'project_id') order by r.sequence) into found_rows
    from (select * from public.erasures e where e.project_id = target and e.sequence > numbered order by e.sequence limit private.page_rows(page_size)) r;
  when 'finished_erasures' then
    select jsonb_agg(jsonb_build_object('key', r.erasure_id, 'row', to_jsonb(r) - 'project_id') order by r.erasure_id) into found_rows
    from (select * from public.finished_erasures f where f.project_id = target and f.erasure_id > known order by f.erasure_id limit size) r;
  when 'stage_events' then
    -- With the versions that each used: apart they would say nothing. Migration 2500.
    select jsonb_agg(jsonb_build_object('key', r.sequence::text, 'row', to_jsonb(r) - 'project_id' || jsonb_build_object('versions', (
             select coalesce(jsonb_agg(jsonb_build_object('role', u.role, 'version', u.version) order by u.role, u.version), '[]')
             from public.stage_event_versions u where u.stage_event_id = r.id))) order by r.sequence) into found_rows
    from (select * from public.stage_events e where e.project_id = target and e.sequence > numbered order by e.sequence limit size) r;
  else
    perform private.fail(404, 'part_not_found', 'A project has no such part. docs/bundle.md names them all.',
      jsonb_build_object('part', part));
  end case;
  return coalesce(found_rows, '[]');
end
$$;
comment on function public.list_rows is
  'Rows of one part of a project as they are, [{key, row}] in order of their keys; after is the last key seen. Changes hold their versions. What only this database means (where bytes are stored) is left out.';
revoke execute on function public.list_rows from public, anon, service_role;
grant execute on function public.list_rows to authenticated;

-- Staging ---------------------------------------------------------------------------------------

create table private.restores (
  project_id uuid primary key,
  id uuid not null default gen_random_uuid(),
  begun_at timestamptz not null default now()
);
alter table private.restores enable row level security;
create policy "nobody but the functions below" on private.restores using (false);
comment on table private.restores is 'Projects that are being put back from a bundle: one attempt each, a new one throws the old one away.';
comment on column private.restores.project_id is 'The project that the bundle is of.';
comment on column private.restores.id is 'The attempt.';
comment on column private.restores.begun_at is 'When it began.';

create table private.restore_rows (
  project_id uuid not null references private.restores on delete cascade,
  part text not null,
  number bigint not null,
  data jsonb not null,
  primary key (project_id, part, number)
);
alter table private.restore_rows enable row level security;
create policy "nobody but the functions below" on private.restore_rows using (false);
comment on table private.restore_rows is 'Rows of a bundle until they are written, or thrown away.';
comment on column private.restore_rows.project_id is 'The project.';
comment on column private.restore_rows.part is 'The part of the bundle; objects says where its contents were stored.';
comment on column private.restore_rows.number is 'The row''s number in its part; of a change its sequence.';
comment on column private.restore_rows.data is 'The row.';

create function private.begin_restore(project uuid)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  attempt uuid;
begin
  delete from private.restores r where r.project_id = project;
  insert into private.restores (project_id) values (project) returning id into attempt;
  return jsonb_build_object('restore', attempt, 'project', (
    select jsonb_build_object('change_sequence', p.change_sequence, 'change_hash', p.change_hash, 'event_sequence', p.event_sequence)
    from public.projects p where p.id = project));
end
$$;
comment on function private.begin_restore is 'Begins to put a project back, and says how far it is here already.';

create function private.restore_of(attempt uuid)
returns uuid
language plpgsql
set search_path = ''
as $$
declare
  project uuid;
begin
  select r.project_id into project from private.restores r where r.id = attempt for update;
  if project is null then
    perform private.fail(404, 'restore_not_found', 'This attempt to restore is over, or another one took its place. Begin anew.');
  end if;
  return project;
end
$$;
comment on function private.restore_of is 'The project of an attempt to restore, locked; 404 when it is over.';

create function private.stage_restore(attempt uuid, part text, first bigint, data jsonb)
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
  project uuid := private.restore_of(attempt);
  staged bigint;
begin
  insert into private.restore_rows (project_id, part, number, data)
  select project, stage_restore.part, case when stage_restore.part = 'changes' then (e.value ->> 'sequence')::bigint else first + e.n - 1 end, e.value
  from jsonb_array_elements(stage_restore.data) with ordinality e (value, n)
  on conflict on constraint restore_rows_pkey do update set data = excluded.data;  -- a repeat, after a lost answer
  get diagnostics staged = row_count;
  return staged;
end
$$;
comment on function private.stage_restore is 'Takes rows of a part, numbered from first.';

create function private.refuse_restore(sentence text, detail jsonb default '{}')
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.fail(422, 'bundle_mismatch', sentence || ' Nothing was written.', detail);
end
$$;
comment on function private.refuse_restore is 'Refuses a bundle whose rows are not what they say.';

-- Fast-forward: what is here must be the beginning of what the bundle has, to the last event.
create function private.check_fast_forward(held public.projects, wanted jsonb)
returns void
language plpgsql
set search_path = ''
set timezone = 'UTC'
as $$
begin
  if held.change_sequence > (wanted ->> 'change_sequence')::bigint or held.event_sequence > (wanted ->> 'event_sequence')::bigint
    or held.change_sequence > 0 and not exists (
      select from private.restore_rows s
      where s.project_id = held.id and s.part = 'changes' and s.number = held.change_sequence and s.data ->> 'hash' = held.change_hash)
    or exists (
      select from public.events e
      left join private.restore_rows s on s.project_id = held.id and s.part = 'events' and s.number = e.sequence
      where e.project_id = held.id and s.data is distinct from to_jsonb(e) - 'project_id') then
    perform private.fail(409, 'restore_diverged',
      'The project is here already, and its history is not the beginning of the bundle''s. Nothing was written.',
      jsonb_build_object('here', jsonb_build_object('change', held.change_sequence, 'hash', held.change_hash, 'events', held.event_sequence),
        'bundle', jsonb_build_object('change', wanted -> 'change_sequence', 'hash', wanted -> 'change_hash', 'events', wanted -> 'event_sequence')));
  end if;
end
$$;
comment on function private.check_fast_forward is 'Refuses a bundle that does not go on where the project is.';

-- Nobody gains an account by a bundle: people without one here become departed ones, whose names history shows.
create function private.restore_people(project uuid)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.profiles (id, handle, display_name, avatar_url, github_login, created_at, account_deleted_at)
  select r.id, case when exists (select from public.profiles p where p.handle = r.handle) then private.free_handle(r.handle) else r.handle end,
         r.display_name, r.avatar_url, r.github_login, r.created_at, now()
  from private.restore_rows s, jsonb_populate_record(null::public.profiles, s.data) r
  where s.project_id = project and s.part = 'profiles'
    and not exists (select from public.profiles p where p.id = r.id)
  order by s.number;
end
$$;
comment on function private.restore_people is 'Makes profiles, without accounts, for those of a bundle who have none here.';

-- An account that comes after its history (the accounts of the old place were brought along) has it again.
create function private.revive_profile()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  update public.profiles p set account_deleted_at = null
  where p.id = new.id and p.account_deleted_at is not null and new.deleted_at is null;
  return null;
end
$$;
comment on function private.revive_profile is 'Gives a departed profile back to the account that comes with its id.';
create trigger verso_revive_profile after insert on auth.users
  for each row execute function private.revive_profile();

create function private.restore_blobs(project uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  missing text;
begin
  select s.data ->> 'sha256' into missing
  from private.restore_rows s
  left join storage.objects o on o.bucket_id = 'documents' and o.name = s.data ->> 'name'
  where s.project_id = project and s.part = 'objects' and not coalesce(
    (o.metadata ->> 'size')::bigint = (s.data ->> 'size')::bigint
      and o.name ~ ('^' || project || '/' || (s.data ->> 'sha256') || '([.][0-9a-f]{32})?$'), false)
  limit 1;
  if missing is not null then
    perform private.fail(422, 'blob_missing', 'The bytes of a content are not in storage with that size. Upload them first.',
      jsonb_build_object('sha256', missing));
  end if;
  insert into public.blobs (object_id, project_id, sha256, size, name)
  select o.id, project, s.data ->> 'sha256', (s.data ->> 'size')::bigint, o.name
  from private.restore_rows s join storage.objects o on o.bucket_id = 'documents' and o.name = s.data ->> 'name'
  where s.project_id = project and s.part = 'objects'
  on conflict (object_id) do nothing;
end
$$;
comment on function private.restore_blobs is 'Ties the contents of a bundle to the stored objects that hold them.';

create function private.restore_change(project uuid, staged jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  upcoming bigint := staged ->> 'sequence';
  here jsonb := jsonb_build_object('project_id', project, 'change_sequence', staged -> 'sequence', 'hash', repeat('0', 64));
  written public.versions[];
  left_paths text[];
  left_documents uuid[];
  differing jsonb;
  made text;
begin
  select array_agg(jsonb_populate_record(null::public.versions, e.value || here || jsonb_build_object('object_id', (
      select b.object_id from public.blobs b
      where b.project_id = project and b.sha256 = e.value ->> 'sha256' and b.size = (e.value ->> 'size')::bigint
      order by b.created_at desc, b.object_id limit 1))) order by e.n)
  into written from jsonb_array_elements(staged -> 'versions') with ordinality e (value, n);

  -- As commit_change does: every path that is left is free before any is taken.
  select array_agg(d.path::text order by d.id), array_agg(d.id order by d.id) into left_paths, left_documents
  from unnest(written) w join public.documents d on d.id = w.document_id and d.project_id = project
  where d.live and (w.action = 'delete' or w.path <> d.path);
  update public.documents d set live = false where d.id = any (left_documents);
  insert into public.documents (id, project_id, path, live, head, head_number, head_sequence)
  select w.document_id, project, w.path, w.action <> 'delete', w.hash, w.number, upcoming from unnest(written) w where w.number = 1;
  insert into public.versions select * from unnest(written);
  select jsonb_build_object('change', upcoming, 'position', v.position, 'path', v.path, 'hash', v.hash) into differing
  from public.versions v join jsonb_array_elements(staged -> 'versions') e on (e ->> 'position')::integer = v.position
  where v.project_id = project and v.change_sequence = upcoming and v.hash is distinct from e ->> 'hash' order by v.position limit 1;
  if differing is not null then
    perform private.refuse_restore('A version''s hash is not that of what it says.', differing);
  end if;
  perform private.place_versions(project, upcoming, left_paths, left_documents);

  insert into public.changes select (jsonb_populate_record(null::public.changes, staged - 'versions' || here)).*
  returning hash into made;
  if made is distinct from staged ->> 'hash' then
    perform private.refuse_restore('A change''s hash is not that of what it says.', jsonb_build_object('change', upcoming, 'hash', made));
  end if;
end
$$;
comment on function private.restore_change is 'Writes a change of a bundle with its versions; refuses it when the hashes that come out are others.';

-- What only ever grows: rows beyond what is here.
create function private.restore_acts(project uuid, after bigint)
returns void
language plpgsql
set search_path = ''
as $$
declare
  here jsonb := jsonb_build_object('project_id', project);
begin
  insert into public.events select r.* from private.restore_rows s, jsonb_populate_record(null::public.events, s.data || here) r
  where s.project_id = project and s.part = 'events' and r.sequence > after order by r.sequence;
  insert into public.comments select r.* from private.restore_rows s, jsonb_populate_record(null::public.comments, s.data || here) r
  where s.project_id = project and s.part = 'comments' and r.sequence > after order by r.sequence;
  insert into public.comment_texts select r.* from private.restore_rows s, jsonb_populate_record(null::public.comment_texts, s.data || here) r
  join public.comments c on c.id = r.comment_id and c.project_id = project and c.sequence > after
  where s.project_id = project and s.part = 'comment_texts';
  insert into public.comment_acts select r.* from private.restore_rows s, jsonb_populate_record(null::public.comment_acts, s.data || here) r
  where s.project_id = project and s.part = 'comment_acts' and r.sequence > after order by r.sequence;
  insert into public.reviews select r.* from private.restore_rows s, jsonb_populate_record(null::public.reviews, s.data || here) r
  where s.project_id = project and s.part = 'reviews' and r.sequence > after order by r.sequence;
  insert into public.tags select r.* from private.restore_rows s, jsonb_populate_record(null::public.tags, s.data || here) r
  where s.project_id = project and s.part = 'tags'
    and not exists (select from public.tags t where t.project_id = project and t.name = r.name);
  perform private.restore_stage_events(project, after);  -- migration 2500
end
$$;
comment on function private.restore_acts is 'Writes the events, comments, reviews, tags and stage reports of a bundle that are not here yet.';

create function private.restore_sessions(project uuid)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.sessions s set title = r.title, status = r.status, updated_at = r.updated_at
  from private.restore_rows x, jsonb_populate_record(null::public.sessions, x.data) r
  where x.project_id = project and x.part = 'sessions' and s.id = r.id and s.project_id = project;
  -- A feature's parent is there before it: the rule of 0600 asks for it.
  insert into public.sessions
  select r.* from private.restore_rows x, jsonb_populate_record(null::public.sessions, x.data || jsonb_build_object('project_id', project)) r
  where x.project_id = project and x.part = 'sessions'
    and not exists (select from public.sessions s where s.id = r.id and s.project_id = project)
  order by r.parent_id is not null;
end
$$;
comment on function private.restore_sessions is 'Writes the sessions of a bundle.';

create function private.restore_members(project uuid, after bigint)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.acquaintances (user_id, project_id)
  select (s.data ->> 'user_id')::uuid, project from private.restore_rows s
  where s.project_id = project and s.part = 'acquaintances' on conflict do nothing;
  -- Who was let in here by the operator stays; who left there since, leaves.
  delete from public.members m using private.restore_rows s
  where s.project_id = project and s.part = 'events' and s.number > after and s.data ->> 'kind' = 'member.removed'
    and m.project_id = project and m.user_id = (s.data #>> '{payload,person}')::uuid;
  insert into public.members as m
  select r.* from private.restore_rows s, jsonb_populate_record(null::public.members, s.data || jsonb_build_object('project_id', project)) r
  where s.project_id = project and s.part = 'members'
  on conflict (user_id, project_id) do update set role = excluded.role, added_by = excluded.added_by, created_at = excluded.created_at,
    folders = excluded.folders
  where after < (select p.event_sequence from public.projects p where p.id = project);
end
$$;
comment on function private.restore_members is 'Gives the members of a bundle their roles.';

-- The chain certifies the versions; what was derived from them must say the same.
create function private.check_restored(project uuid, wanted jsonb)
returns void
language plpgsql
set search_path = ''
set timezone = 'UTC'
as $$
declare
  differing text;
  held public.projects;
begin
  select * into held from public.projects p where p.id = project;
  if held.change_sequence <> (wanted ->> 'change_sequence')::bigint or held.change_hash is distinct from wanted ->> 'change_hash' then
    perform private.refuse_restore('The newest change is not the one that the bundle names.', jsonb_build_object('hash', held.change_hash));
  end if;
  if (select count(*) from public.events e where e.project_id = project) <> (wanted ->> 'event_sequence')::bigint
    or exists (select from public.events e where e.project_id = project and e.sequence > (wanted ->> 'event_sequence')::bigint) then
    perform private.refuse_restore('Its events have gaps, or are others than it says.');
  end if;
  select coalesce(s.data ->> 'path', d.path) into differing
  from (select * from private.restore_rows s where s.project_id = project and s.part = 'documents') s
  full join (select * from public.documents d where d.project_id = project) d on d.id = (s.data ->> 'id')::uuid
  where s.data is distinct from to_jsonb(d) - 'project_id' limit 1;
  if differing is not null then
    perform private.refuse_restore('A document is not where its versions put it.', jsonb_build_object('path', differing));
  end if;
  select a.path into differing
  from public.documents a cross join lateral unnest(private.folders_of(a.path)) f (folder)
  join public.documents b on b.project_id = project and b.live and b.path = f.folder
  where a.project_id = project and a.live limit 1;
  if differing is not null then
    perform private.refuse_restore('A path is a document and a folder at once.', jsonb_build_object('path', differing));
  end if;
end
$$;
comment on function private.check_restored is 'Refuses what was restored when it is not what the bundle says.';

create function private.restore_project(attempt uuid, owner text)
returns jsonb
language plpgsql security definer
set search_path = ''
set timezone = 'UTC'
as $$
declare
  project uuid := private.restore_of(attempt);
  wanted jsonb;
  held public.projects;
  known_events bigint := 0;
  known_changes bigint := 0;
  granted uuid;
  staged record;
begin
  select s.data into wanted from private.restore_rows s where s.project_id = project and s.part = 'project';
  if wanted is null or wanted ->> 'id' is distinct from project::text then
    perform private.refuse_restore('The bundle does not say which project it is of.');
  end if;
  if owner is not null then
    select p.id into granted from public.profiles p
    where p.account_deleted_at is null and (p.handle = lower(owner) or p.id = private.uuid_or_null(lower(owner)));
    if granted is null then
      perform private.fail(404, 'person_not_found', 'Nobody here has that handle. They sign in once, then you name them. Nothing was written.');
    end if;
  end if;
  perform private.restore_people(project);
  select * into held from public.projects p where p.id = project for no key update;
  if held.id is null then
    begin
      insert into public.projects
      select (jsonb_populate_record(null::public.projects, wanted || jsonb_build_object(
        'change_sequence', 0, 'change_hash', null, 'event_sequence', 0, 'archived_at', null,
        'tags_need_approval', false, 'completion_needs_approval', false,
        'completion_needs_document', false, 'completion_needs_validation', false))).*;
    exception when unique_violation then
      perform private.fail(409, 'slug_taken', 'The maker of this project has another one of that slug here. Nothing was written.');
    end;
  else
    perform private.check_fast_forward(held, wanted);
    known_events := held.event_sequence;
    known_changes := held.change_sequence;
    -- Tags were given, and sessions and stages completed, under the rules of their time.
    update public.projects p set tags_need_approval = false, completion_needs_approval = false,
      completion_needs_document = false, completion_needs_validation = false
    where p.id = project and (p.tags_need_approval or p.completion_needs_approval
      or p.completion_needs_document or p.completion_needs_validation);
  end if;
  -- What is derived of it (migration 2600) is counted anew at the end, and until then left alone.
  insert into private.rollup_pauses (project_id) values (project);
  perform private.restore_sessions(project);
  perform private.restore_erasures(project);  -- migration 2800
  perform private.restore_blobs(project);
  for staged in
    select s.data from private.restore_rows s
    where s.project_id = project and s.part = 'changes' and s.number > known_changes order by s.number
  loop
    perform private.restore_change(project, staged.data);
  end loop;
  update public.documents d set created_at = (s.data ->> 'created_at')::timestamptz
  from private.restore_rows s
  where s.project_id = project and s.part = 'documents' and d.id = (s.data ->> 'id')::uuid and d.project_id = project
    and d.created_at is distinct from (s.data ->> 'created_at')::timestamptz;
  update public.documents d set session_id = w.session_id, stage = w.stage
  from (select x.id, s.id as session_id, private.stage_of(x.path, s.root) as stage
        from public.documents x left join public.sessions s on s.id = private.session_of(project, x.path)
        where x.project_id = project) w
  where d.id = w.id and (d.session_id, d.stage) is distinct from (w.session_id, w.stage);
  perform private.restore_acts(project, known_events);
  update public.projects p set
    name = r.name, description = r.description, archived_at = r.archived_at, event_sequence = r.event_sequence,
    tags_need_approval = r.tags_need_approval, completion_needs_approval = r.completion_needs_approval,
    -- Bundles that are older than these rules say nothing of them.
    completion_needs_document = coalesce(r.completion_needs_document, false),
    completion_needs_validation = coalesce(r.completion_needs_validation, false)
  from jsonb_populate_record(null::public.projects, wanted) r where p.id = project;
  perform private.restore_members(project, known_events);
  if granted is not null then
    insert into public.members as m (user_id, project_id, role, added_by) values (granted, project, 'owner', granted)
    on conflict (user_id, project_id) do update set role = 'owner', folders = null where m.role <> 'owner';
  end if;
  perform private.rebuild_rollups(project);
  delete from private.rollup_pauses r where r.project_id = project;
  perform private.check_restored(project, wanted);
  delete from private.restores r where r.id = attempt;
  return jsonb_build_object(
    'project', project, 'changes', (wanted ->> 'change_sequence')::bigint - known_changes,
    'events', (wanted ->> 'event_sequence')::bigint - known_events,
    'owners', (select coalesce(jsonb_agg(p.handle order by p.handle), '[]') from public.members m join public.profiles p on p.id = m.user_id
               where m.project_id = project and m.role = 'owner' and p.account_deleted_at is null));
end
$$;
comment on function private.restore_project is 'Writes what was staged, in one transaction, or nothing.';

-- For operators: the secret key only. Nothing that serves people has it.
grant usage on schema private to service_role;

create function public.begin_restore(project uuid)
returns jsonb
language sql
set search_path = ''
as $$ select private.begin_restore(project) $$;
comment on function public.begin_restore is
  'Operators: begins to put a project back from a bundle: {restore, project: {change_sequence, change_hash, event_sequence} or null}.';

create function public.stage_restore(restore uuid, part text, first bigint, rows jsonb)
returns bigint
language sql
set search_path = ''
as $$ select private.stage_restore(restore, part, first, rows) $$;
comment on function public.stage_restore is 'Operators: takes rows of a bundle, numbered from first; how many they were.';

create function public.restore_bundle(restore uuid, owner text default null)
returns jsonb
language sql
set search_path = ''
set statement_timeout = '0'
as $$ select private.restore_project(restore, owner) $$;
comment on function public.restore_bundle is
  'Operators: writes what was staged, or nothing: {project, changes, events, owners}. An owner that is named is given the project, besides those that the bundle names.';

revoke execute on function public.begin_restore, public.stage_restore, public.restore_bundle from public, anon, authenticated;
grant execute on function public.begin_restore, public.stage_restore, public.restore_bundle to service_role;

revoke execute on all functions in schema private from public;
grant execute on function private.begin_restore, private.stage_restore, private.restore_project to service_role;
