-- The audit trail: who did what, from where, when. What changes a project is an event already, written in the same
-- transaction as what it tells, and isn't written twice: the trail reads both. Here is the rest: sessions of accounts,
-- exports, refused attempts.
--
-- An entry has a witness. `database`: a trigger saw it. `caller`: it was said under an account's own token. The API says
-- it so, because it has no other token, and anybody may call the function themselves. So what is said (address, user
-- agent, that there was an export) is kept in `told`, apart from `known`, which the database found out itself; and it
-- is said of oneself only: nobody writes an entry of somebody else, nor exports into the trail of a project of which
-- they are no member. Who goes around the API with their own token is seen by its gateway (`known.via`), not by us.
--
-- What is said is counted: one row per account, kind, project and minute. So the trail grows with accounts and time,
-- never with the number of requests.

create table private.audit_entries (
  id uuid primary key default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  minute timestamptz,
  count bigint not null default 1 constraint audit_entries_count_positive check (count > 0),
  kind text not null constraint audit_entries_kind_form check (kind ~ '^[a-z_]+\.[a-z_]+$'),
  witness text not null constraint audit_entries_witness_known check (witness in ('database', 'caller')),
  account_id uuid references public.profiles,
  session_id uuid,
  agent text,
  on_behalf_of uuid references public.profiles,
  project_id uuid references public.projects,
  known jsonb not null default '{}' constraint audit_entries_known_size check (octet_length(known::text) <= 2000),
  told jsonb not null default '{}' constraint audit_entries_told_size check (octet_length(told::text) <= 4000),
  constraint audit_entries_in_order check (last_at >= at)
);
create unique index audit_entries_minute_key on private.audit_entries (account_id, kind, project_id, minute)
  nulls not distinct where minute is not null;
create index audit_entries_project_idx on private.audit_entries (project_id, at desc, id desc) where project_id is not null;
create index audit_entries_account_idx on private.audit_entries (account_id, at desc, id desc) where account_id is not null;
create index audit_entries_at_idx on private.audit_entries (at desc, id desc);
create index audit_entries_on_behalf_of_idx on private.audit_entries (on_behalf_of) where on_behalf_of is not null;
create index audit_entries_refused_idx on private.audit_entries (project_id, minute, kind)
  where minute is not null and project_id is not null;
alter table private.audit_entries enable row level security;
create policy "nobody but the functions below" on private.audit_entries using (false);
-- A schema that nobody is let into needs no grants; these are taken back all the same.
revoke all on private.audit_entries from public, anon, authenticated, service_role;
comment on table private.audit_entries is 'What happened besides the events of projects: sessions, exports, refused attempts.';
comment on column private.audit_entries.id is 'Stable id.';
comment on column private.audit_entries.at is 'When, or when first, by the database''s clock.';
comment on column private.audit_entries.last_at is 'When last, where it is counted.';
comment on column private.audit_entries.minute is 'The minute within which it is counted; null for what has a row each time.';
comment on column private.audit_entries.count is 'How often; only ever grows.';
comment on column private.audit_entries.kind is 'noun.verb: account.session_started, export.archive, refused.role, …';
comment on column private.audit_entries.witness is 'database: a trigger saw it. caller: it was said under the account''s own token.';
comment on column private.audit_entries.account_id is 'Who; null for the many of a minute that have no row of their own.';
comment on column private.audit_entries.session_id is 'The session that the token was of, or that began or ended.';
comment on column private.audit_entries.agent is 'The agent''s name, when the account is one.';
comment on column private.audit_entries.on_behalf_of is 'For whom the agent acts.';
comment on column private.audit_entries.project_id is 'The project that it was about, when there is one.';
comment on column private.audit_entries.known is 'What the database found out itself.';
comment on column private.audit_entries.told is 'What was said: address, user agent, request, what it was about.';

-- The trail of a project and of a person is read newest first; most events are changes, which have a log of their own.
create index events_audited_idx on public.events (project_id, created_at desc, sequence desc)
  where kind not like all (array['change.%', 'comment.%', 'review.%', 'stage.%']);
create index events_audited_actor_idx on public.events (actor_id, created_at desc)
  where kind not like all (array['change.%', 'comment.%', 'review.%', 'stage.%']);

-- Append-only, for every role. What is counted may count on; what is older than 90 days may go, because addresses are
-- about people and are not kept for ever.
create function private.keep_audit()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' then
    if old.minute is not null and new.count > old.count and new.last_at >= old.last_at
      and to_jsonb(new) - 'count' - 'last_at' = to_jsonb(old) - 'count' - 'last_at' then
      return new;
    end if;
  elsif tg_op = 'DELETE' then
    if old.last_at < now() - interval '90 days' then
      return old;
    end if;
  end if;
  perform private.fail(403, 'immutable', 'The audit trail is only ever added to; entries younger than 90 days stay.');
  return null;
end
$$;
comment on function private.keep_audit is 'Refuses to alter the audit trail, for every role.';
create trigger audit_is_kept before update or delete on private.audit_entries
  for each row execute function private.keep_audit();
create trigger audit_is_not_emptied before truncate on private.audit_entries
  for each statement execute function private.keep_audit();

-- What the database sees ------------------------------------------------------------------------

-- Whatever fails in here must not keep anybody from signing in or out.
create function private.audit_session()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  one auth.sessions := case when tg_op = 'DELETE' then old else new end;
begin
  insert into private.audit_entries (kind, witness, account_id, session_id, agent, on_behalf_of, project_id, known)
  select case when tg_op = 'DELETE' then 'account.session_ended' else 'account.session_started' end, 'database', p.id, one.id,
         g.name, g.acts_for, g.project_id,
         jsonb_strip_nulls(jsonb_build_object(
           'address', host(one.ip),
           'user_agent', left(regexp_replace(one.user_agent, '[\u0001-\u001f\u007f-\u009f\u2028\u2029]+', ' ', 'g'), 300),
           'since', case when tg_op = 'DELETE' then one.created_at end))
  from public.profiles p left join public.agents g on g.account_id = p.id where p.id = one.user_id;
  return null;
exception when others then
  raise warning 'The audit trail lacks a session: %', sqlerrm;
  return null;
end
$$;
comment on function private.audit_session is 'Notes that a session of an account began or ended, with the address that Auth saw.';
create trigger verso_audit_session after insert or delete on auth.sessions
  for each row execute function private.audit_session();

-- What Auth calls (its password verification hook) with each password that it looked at, in a transaction of its own. Nobody
-- else may: an entry of a wrong password is Auth's word, of an account that is there, and never the caller's. One row a
-- minute and account, however often somebody guesses; and whatever fails in here must not keep anybody from signing in.
create function private.note_password_attempt(event jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
begin
  if event -> 'valid' = 'false' then
    insert into private.audit_entries as a (kind, witness, minute, account_id, agent, on_behalf_of, project_id)
    select 'refused.password', 'database', date_trunc('minute', clock_timestamp()), p.id, g.name, g.acts_for, g.project_id
    from public.profiles p left join public.agents g on g.account_id = p.id
    where p.id = private.uuid_or_null(event ->> 'user_id')
    on conflict (account_id, kind, project_id, minute) where minute is not null
    do update set count = a.count + 1, last_at = greatest(a.last_at, clock_timestamp());
  end if;
  return '{"decision": "continue"}';
exception when others then
  raise warning 'The audit trail lacks a wrong password: %', sqlerrm;
  return '{"decision": "continue"}';
end
$$;
comment on function private.note_password_attempt is
  'Auth''s password verification hook: counts wrong passwords of an account, and lets Auth go on as it would have.';
grant usage on schema private to supabase_auth_admin;
grant execute on function private.note_password_attempt to supabase_auth_admin;

create function private.audit_profile()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if new.handle <> old.handle then
    insert into private.audit_entries (kind, witness, account_id, session_id, known)
    values ('account.renamed', 'database', new.id, private.uuid_or_null(auth.jwt() ->> 'session_id'),
      jsonb_build_object('before', old.handle, 'after', new.handle));
  end if;
  if (new.account_deleted_at is null) <> (old.account_deleted_at is null) then
    insert into private.audit_entries (kind, witness, account_id)
    values (case when new.account_deleted_at is null then 'account.revived' else 'account.deleted' end, 'database', new.id);
  end if;
  return null;
end
$$;
comment on function private.audit_profile is 'Notes that somebody goes by another handle, or that an account was deleted.';
create trigger audit_profile after update of handle, account_deleted_at on public.profiles
  for each row execute function private.audit_profile();

-- What is said ----------------------------------------------------------------------------------

create function private.audited_project(about text, account uuid)
returns uuid
language sql stable
set search_path = ''
as $$
  select coalesce(
    (select p.id from public.projects p where p.id = private.uuid_or_null(about)),
    (select d.project_id from public.documents d where d.id = private.uuid_or_null(about)),
    (select v.project_id from public.versions v where v.hash = case when about ~ '^[0-9a-f]{64}$' then about end limit 1),
    (select p.id from public.members m join public.projects p on p.id = m.project_id
     where m.user_id = account and p.slug = about
     order by p.created_by = account desc, m.created_at, p.id limit 1))
$$;
comment on function private.audited_project is 'The project of a project''s, document''s or version''s name as an account means it; null when there is none.';

create function private.line_of(value text, length integer)
returns text
language sql immutable
set search_path = ''
as $$ select nullif(left(btrim(regexp_replace(value, '[\u0001-\u001f\u007f-\u009f\u2028\u2029]+', ' ', 'g')), length), '') $$;
comment on function private.line_of is 'A text as one line of at most so many characters; null when nothing is left.';

create function private.record_audit(entries jsonb)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  account uuid := (select p.id from public.profiles p where p.id = auth.uid());
  headers jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
  via jsonb := jsonb_strip_nulls(jsonb_build_object('via', nullif(jsonb_strip_nulls(jsonb_build_object(
    'address', private.line_of(coalesce(headers ->> 'cf-connecting-ip', headers ->> 'x-forwarded-for', headers ->> 'x-real-ip'), 100),
    'user_agent', private.line_of(headers ->> 'user-agent', 200))), '{}')));
  this_minute timestamptz := date_trunc('minute', clock_timestamp());
  entry jsonb;
  what text;
  target uuid;
  mine boolean;
  who uuid;
begin
  if account is null then
    perform private.fail(403, 'no_profile', 'This account has no profile, so nothing can be said of it.');
  end if;
  if jsonb_typeof(entries) is distinct from 'array' or jsonb_array_length(entries) not between 1 and 100 then
    perform private.fail(422, 'bad_value', 'Say 1 to 100 entries at once.');
  end if;
  -- A stranger's refusal is in the project's trail, and in their own as one of nothing: so that what they read of
  -- themselves is the same whether the project is there or not, alone and beside others of that minute.
  -- In the order of the rows that they are counted in: who says the same at once in another order waits, and never both.
  for entry, target, mine in
    select e.value, h.home, m.mine from jsonb_array_elements(entries) e (value)
    cross join lateral private.audited_project(e.value ->> 'about', account) p (target)
    cross join lateral (select exists (select from public.members x where x.user_id = account and x.project_id = p.target)) m (mine)
    cross join lateral unnest(case
      when m.mine then array[p.target]
      -- Of a project that isn't one's own there is one thing to say: that one was turned away.
      when p.target is null or e.value ->> 'kind' not like 'refused.%' then array[null::uuid]
      else array[p.target, null] end) h (home)
    order by e.value ->> 'kind', h.home
  loop
    what := entry ->> 'kind';
    if what is null or what not in (
      'bridge.used', 'page.signed_in', 'page.signed_out',
      'export.archive', 'export.audit', 'export.bundle', 'export.contents', 'export.git', 'export.history',
      'refused.role', 'refused.absent', 'refused.account', 'refused.rate') then
      perform private.fail(422, 'bad_value', 'That is not said of oneself. docs/audit.md names the kinds.');
    end if;
    continue when mine and what = 'refused.absent';  -- a member who looks for what isn't there is turned away from nothing
    who := account;
    if target is not null and not mine and not exists (
      select from private.audit_entries a
      where a.account_id = account and a.kind = what and a.project_id = target and a.minute = this_minute)
      and (select count(*) from private.audit_entries a
           where a.project_id = target and a.minute = this_minute and a.kind = what) >= 20 then
      who := null;  -- strangers in numbers: they are counted together
    end if;
    insert into private.audit_entries as a
      (kind, witness, minute, count, account_id, session_id, agent, on_behalf_of, project_id, known, told)
    select what, 'caller', this_minute,
      case when entry ->> 'count' ~ '^[1-9][0-9]{0,5}$' then (entry ->> 'count')::bigint else 1 end,
      who, case when who is not null then private.uuid_or_null(auth.jwt() ->> 'session_id') end,
      case when who is not null then (select c.agent from private.actor() c) end,
      case when who is not null then private.on_behalf_of(target) end,
      target, via || case when target is not null and not mine then '{"stranger": true}'::jsonb else '{}' end,
      case when who is null then '{}'::jsonb else jsonb_strip_nulls(jsonb_build_object(
        'address', private.line_of(entry ->> 'address', 100), 'user_agent', private.line_of(entry ->> 'user_agent', 300),
        'request', private.line_of(entry ->> 'request', 64), 'code', private.line_of(entry ->> 'code', 64),
        'about', private.line_of(entry ->> 'about', 100), 'route', private.line_of(entry ->> 'route', 200))) end
    on conflict (account_id, kind, project_id, minute) where minute is not null
    do update set count = a.count + excluded.count, last_at = greatest(a.last_at, clock_timestamp());
  end loop;
end
$$;
comment on function private.record_audit is
  'Counts what the caller''s own token says that the caller did: signed in to pages, exported, was refused. Says nothing back.';
grant execute on function private.record_audit to authenticated;

create function public.record_audit(entries jsonb)
returns void
language sql
set search_path = ''
as $$ select private.record_audit(entries) $$;
comment on function public.record_audit is
  'Says of the caller what the database cannot see: [{kind, about, address, user_agent, request, route, code, count}].';
revoke execute on function public.record_audit from public, anon, service_role;
grant execute on function public.record_audit to authenticated;

-- Reading ---------------------------------------------------------------------------------------

create function private.person_shown(person uuid, everybody boolean)
returns jsonb
language sql stable
set search_path = ''
as $$
  select case when person is null then null
    when everybody or private.knows(person) then
      coalesce((select to_jsonb(p) from public.people p where p.id = person), jsonb_build_object('id', person))
    else jsonb_build_object('id', person) end
$$;
comment on function private.person_shown is 'A person as the reader may see them: of strangers the id.';

-- One reader for three: a project's owners (project), a person (account), operators (neither).
create function private.audit_page(
  project uuid, account uuid, kind text, person text, since timestamptz, until timestamptz, after text, page_size integer,
  everybody boolean)
returns jsonb
language plpgsql stable
set search_path = ''
set timezone = 'UTC'
-- Planned for the filters that are given: one plan for all of them could use no index.
set plan_cache_mode = 'force_custom_plan'
as $$
declare
  size integer := private.page_rows(page_size);
  seen_at timestamptz := coalesce(private.moment_or_null(split_part(after, ' ', 1)), case when after is null then 'infinity' else '-infinity' end::timestamptz);
  seen_key text collate "C" := split_part(coalesce(after, ''), ' ', 2);
  upper_end timestamptz := coalesce(until, 'infinity');
  lower_end timestamptz := coalesce(since, '-infinity');
  whom uuid := case when person is not null then coalesce(
    (select p.id from public.profiles p where p.handle = lower(person) or p.id = private.uuid_or_null(lower(person)) limit 1),
    '00000000-0000-0000-0000-000000000000') end;
  noun text := case when kind !~ '\.' then kind || '.%' end;
begin
  return (
    with entries as (
      select ('n' || a.id) collate "C" as key, a.*
      from private.audit_entries a
      where (audit_page.project is null or a.project_id = audit_page.project)
        and (audit_page.account is null or a.account_id = audit_page.account and not a.known ? 'stranger')
        and (whom is null or a.account_id = whom)
        and (audit_page.kind is null or a.kind = audit_page.kind or a.kind like noun)
        and a.at <= seen_at and a.at < upper_end and a.at >= lower_end
        and (a.at < seen_at or ('n' || a.id) collate "C" < seen_key)
      order by a.at desc, a.id desc limit size
    ), happened as (
      select e.created_at as at, ('e' || lpad(e.sequence::text, 19, '0') || e.project_id) collate "C" as key, e.*
      from public.events e
      where (audit_page.project is null or e.project_id = audit_page.project)
        and (audit_page.account is null or e.actor_id = audit_page.account
             and exists (select from public.members m where m.project_id = e.project_id and m.user_id = audit_page.account))
        and (whom is null or e.actor_id = whom)
        and (audit_page.kind is null or e.kind = audit_page.kind or e.kind like noun)
        and e.kind not like all (array['change.%', 'comment.%', 'review.%', 'stage.%'])
        and e.created_at <= seen_at and e.created_at < upper_end and e.created_at >= lower_end
        and (e.created_at < seen_at or ('e' || lpad(e.sequence::text, 19, '0') || e.project_id) collate "C" < seen_key)
      order by e.created_at desc, e.sequence desc, e.project_id desc limit size
    ), both_kinds as (
      select at, key, jsonb_build_object(
        'id', substr(key, 2), 'at', at, 'last_at', last_at, 'count', count, 'kind', x.kind, 'witness', witness,
        'person', private.person_shown(account_id, everybody),
        'agent', agent,
        'on_behalf_of', private.person_shown(on_behalf_of, everybody),
        'session', session_id,
        'project', case when audit_page.account is null
          or exists (select from public.members m where m.project_id = x.project_id and m.user_id = audit_page.account) then x.project_id end,
        'known', known, 'told', told) as shown
      from entries x
      union all
      select at, key, jsonb_build_object(
        'id', project_id || '/' || sequence, 'at', at, 'last_at', at, 'count', 1, 'kind', x.kind, 'witness', 'event',
        'person', private.person_shown(actor_id, everybody),
        'agent', (select g.name from public.agents g where g.account_id = x.actor_id and g.project_id = x.project_id),
        'project', project_id, 'event', sequence, 'change', change_sequence, 'known', payload, 'told', '{}'::jsonb)
      from happened x
    )
    select coalesce(jsonb_agg(
      shown || jsonb_build_object('place', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' ' || key) order by at desc, key desc), '[]')
    from (select * from both_kinds order by at desc, key desc limit size) page);
end
$$;
comment on function private.audit_page is
  'A page of the trail, newest first: entries and events, without changes, comments, reviews and stages, which have lists of their own.';

create function private.list_audit(
  project uuid, kind text, person text, since timestamptz, until timestamptz, after text, page_size integer)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
begin
  perform private.require_role(project, 'owner');
  return private.audit_page(project, null, kind, person, since, until, after, page_size, false);
end
$$;
comment on function private.list_audit is 'A page of a project''s trail; owners only.';
grant execute on function private.list_audit to authenticated;

create function public.list_audit(
  project text, kind text default null, person text default null, since timestamptz default null, until timestamptz default null,
  after text default null, page_size integer default 50)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.list_audit(private.project_id(project), kind, person, since, until, after, page_size) $$;
comment on function public.list_audit is
  'What happened in a project, newest first, for its owners; kind is member.added or member, after the place of the last one seen.';
revoke execute on function public.list_audit from public, anon, service_role;
grant execute on function public.list_audit to authenticated;

create function private.list_my_audit(kind text, since timestamptz, until timestamptz, after text, page_size integer)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
begin
  if (select private.caller()) is null then
    perform private.fail(403, 'no_profile', 'This account has no profile, or is deleted.');
  end if;
  return private.audit_page(null, private.caller(), kind, null, since, until, after, page_size, false);
end
$$;
comment on function private.list_my_audit is 'A page of the trail of the caller''s own account.';
grant execute on function private.list_my_audit to authenticated;

create function public.list_my_audit(
  kind text default null, since timestamptz default null, until timestamptz default null, after text default null,
  page_size integer default 50)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.list_my_audit(kind, since, until, after, page_size) $$;
comment on function public.list_my_audit is 'What the caller''s own account did, newest first.';
revoke execute on function public.list_my_audit from public, anon, service_role;
grant execute on function public.list_my_audit to authenticated;

create function private.read_audit(
  project uuid, kind text, person text, since timestamptz, until timestamptz, after text, page_size integer)
returns jsonb
language sql stable security definer
set search_path = ''
as $$ select private.audit_page(project, null, kind, person, since, until, after, page_size, true) $$;
comment on function private.read_audit is 'A page of the whole trail, for operators.';
grant execute on function private.read_audit to service_role;

create function public.read_audit(
  project uuid default null, kind text default null, person text default null, since timestamptz default null,
  until timestamptz default null, after text default null, page_size integer default 1000)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.read_audit(project, kind, person, since, until, after, page_size) $$;
comment on function public.read_audit is 'What happened anywhere, newest first, for operators with the secret key.';
revoke execute on function public.read_audit from public, anon, authenticated;
grant execute on function public.read_audit to service_role;

create function private.expire_audit(before timestamptz)
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
  gone bigint;
begin
  if before is null or before > now() - interval '90 days' then
    perform private.fail(422, 'bad_value', 'Entries of the last 90 days stay. Name an earlier time.');
  end if;
  -- In pieces, so that a call ends in time: it is called again until nothing is left.
  with old as (
    delete from private.audit_entries a
    where a.id in (select o.id from private.audit_entries o where o.at < before and o.last_at < before order by o.at limit 10000)
    returning 1)
  select count(*) into gone from old;
  if gone > 0 then
    insert into private.audit_entries (kind, witness, known)
    values ('audit.expired', 'database', jsonb_build_object('before', before, 'entries', gone));
  end if;
  return gone;
end
$$;
comment on function private.expire_audit is 'Lets entries go that are older than a time at least 90 days ago, up to 10,000; notes that.';
grant execute on function private.expire_audit to service_role;

create function public.expire_audit(before timestamptz)
returns bigint
language sql
set search_path = ''
as $$ select private.expire_audit(before) $$;
comment on function public.expire_audit is
  'Operators: lets entries (never events) go that are older than a time at least 90 days ago; says how many, at most 10,000.';
revoke execute on function public.expire_audit from public, anon, authenticated;
grant execute on function public.expire_audit to service_role;

revoke execute on all functions in schema private from public;
