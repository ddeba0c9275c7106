-- Names for points of history. A tag is given once and never moves.

create table public.tags (
  project_id uuid not null references public.projects,
  name text collate "C" not null
    constraint tags_name_form check (name ~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$' and name !~ '(//|\.\.|/$)')
    -- A point (`at`) may be a change number, v7, a hash or a tag: a tag that looks like another would be ambiguous.
    constraint tags_name_is_no_point check (name !~ '^v?[0-9]+$' and name !~ '^([0-9a-f]{40}|[0-9a-f]{64})$' and name !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}'),
  change_sequence bigint not null,
  version public.sha256_hex references public.versions,
  message text not null default '' constraint tags_message_length check (octet_length(message) <= 65536),
  origin bytea constraint tags_origin_size check (octet_length(origin) between 1 and 1048576),
  created_by uuid not null references public.profiles,
  created_at timestamptz not null default now(),
  primary key (project_id, name),
  foreign key (project_id, change_sequence) references public.changes (project_id, sequence)
);
create index tags_change_idx on public.tags (project_id, change_sequence);
create index tags_version_idx on public.tags (version);
create index tags_created_by_idx on public.tags (created_by);
alter table public.tags enable row level security;

comment on table public.tags is 'A name for the project at a change, or for one version. Never moves.';
comment on column public.tags.project_id is 'The project.';
comment on column public.tags.name is 'The name.';
comment on column public.tags.change_sequence is 'The change; for a version, the one that wrote it.';
comment on column public.tags.version is 'The version it names, or null when it names the whole project.';
comment on column public.tags.message is 'Why.';
comment on column public.tags.origin is 'The annotated Git tag object that it came from, as it was: at most 1 MiB. Null for others.';
comment on column public.tags.created_by is 'Who gave it.';
comment on column public.tags.created_at is 'When.';

create policy "members read the tags of their projects" on public.tags
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.tags from anon, authenticated, service_role;
grant select on public.tags to authenticated, service_role;
create trigger tags_are_history before update or delete on public.tags
  for each row execute function private.refuse_rewrite();
create trigger tags_are_kept before truncate on public.tags
  for each statement execute function private.refuse_rewrite();

create view public.tag_details with (security_invoker = true) as
  select t.project_id as project, t.name, t.change_sequence as change, t.version, t.message, t.created_at,
         translate(encode(t.origin, 'base64'), E'\n', '') as origin,
         coalesce(to_jsonb(p), jsonb_build_object('id', t.created_by)) as created_by
  from public.tags t left join public.people p on p.id = t.created_by;
comment on view public.tag_details is 'Tags as answers show them.';
revoke all on public.tag_details from anon, authenticated, service_role;
grant select on public.tag_details to authenticated;

create function private.create_tag(project uuid, name text, at text, message text, origin text)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  target bigint;
  named text;
  given bytea;
begin
  -- A tag that came from Git tells who made it and when: only an owner may say so of somebody.
  perform private.lock_project(project, case when origin is null then 'editor' else 'owner' end::public.member_role);
  perform private.require_everywhere(project);
  given := private.base64_or_null(origin);
  if origin is not null and (given is null or octet_length(given) not between 1 and 1048576) then
    perform private.fail(422, 'bad_origin', 'The origin of a tag is a Git tag object in base64, of 1 byte to 1 MiB.');
  end if;
  if name !~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$' or name ~ '(//|\.\.|/$)' or name ~ '^v?[0-9]+$' or name ~ '^([0-9a-f]{40}|[0-9a-f]{64})$' or name ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' then
    perform private.fail(422, 'bad_tag_name',
      'A tag is 1 to 100 of A-Z a-z 0-9 . _ / -, starts with a letter or digit, and is not a number, v and a number, a hash, a Git object id or a date.');
  end if;
  select v.hash, v.change_sequence into named, target from public.versions v where v.hash = at and v.project_id = project;
  target := coalesce(target, private.change_at(project, at));
  if target = 0 then
    perform private.fail(409, 'nothing_to_tag', 'The project has no changes yet.');
  end if;
  begin
    insert into public.tags (project_id, name, change_sequence, version, message, origin, created_by)
    values (project, create_tag.name, target, named, create_tag.message, given, auth.uid());
  exception when unique_violation then
    perform private.fail(409, 'tag_exists', 'The project has a tag of that name, and tags don''t move. Choose another name.');
  end;
  perform private.add_event(project, 'tag.added', jsonb_build_object('name', name, 'change', target, 'version', named));
end
$$;
comment on function private.create_tag is 'Names a change or a version; editors, and with an origin owners.';
grant execute on function private.create_tag to authenticated;

create function public.create_tag(project text, name text, at text default null, message text default '', origin text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  perform private.create_tag(target, name, at, message, origin);
  return (select to_jsonb(t) from public.tag_details t where t.project = target and t.name = create_tag.name);
end
$$;
comment on function public.create_tag is
  'Names the project at a change (its newest unless said), or a version by its hash. origin is an annotated Git tag object in base64.';
revoke execute on function public.create_tag from public, anon, service_role;
grant execute on function public.create_tag to authenticated;

create function public.list_tags(project text, after text default '', page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (select coalesce(jsonb_agg(to_jsonb(t) order by t.name), '[]') from (
    select * from public.tag_details t where t.project = target and t.name > after order by t.name limit private.page_rows(page_size)) t);
end
$$;
comment on function public.list_tags is 'A project''s tags by name; after is the last one seen.';
revoke execute on function public.list_tags from public, anon, service_role;
grant execute on function public.list_tags to authenticated;

revoke execute on all functions in schema private from public;
