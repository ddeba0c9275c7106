-- Invitations: a place in a project for whoever proves that an address is theirs, also before they have an account.
--
-- Nothing here looks for the account when an invitation is made, so that making one tells nothing about who has an
-- account. Who it is for is decided when somebody asks: by an address that Auth has confirmed, or by the login
-- that GitHub told Auth; never by what an account says of itself (user_metadata, or the claims of its token).
-- Events name an invitation by its id: every member reads them, and addresses are for owners only.

create type public.invitation_outcome as enum ('accepted', 'declined', 'revoked', 'replaced');
comment on type public.invitation_outcome is 'How an invitation ended: by the invited person, by an owner, or by a newer one to the same address.';

create table public.invitations (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects,
  sequence bigint not null,
  -- Folded and compared by bytes: with a language's rules two addresses could become one (the Kelvin sign is a k).
  email text collate "C"
    constraint invitations_email_form check (
      email ~ '^[^\u0001-\u0020\u007f-\u00a0\u2028\u2029@<>"(),:;\\]+@[^\u0001-\u0020\u007f-\u00a0\u2028\u2029@<>"(),:;\\]+$'
      and char_length(email) <= 254 and email = lower(email)),
  github_login text collate "C"
    constraint invitations_github_login_form check (github_login ~ '^[a-z0-9_-]{1,39}$'),
  role public.member_role not null,
  invited_by uuid not null references public.profiles,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '14 days',
  outcome public.invitation_outcome,
  closed_at timestamptz,
  accepted_by uuid references public.profiles,
  constraint invitations_one_address check (num_nonnulls(email, github_login) = 1),
  constraint invitations_end check ((outcome is null) = (closed_at is null)),
  constraint invitations_taker check ((accepted_by is not null) = (outcome is not distinct from 'accepted')),
  constraint invitations_sequence_key unique (project_id, sequence)
);
-- One open invitation an address and project; also the way from an address to its invitations.
create unique index invitations_open_email_key on public.invitations (email, project_id) where outcome is null;
create unique index invitations_open_github_login_key on public.invitations (github_login, project_id) where outcome is null;
create index invitations_email_idx on public.invitations (email);
create index invitations_github_login_idx on public.invitations (github_login);
create index invitations_invited_by_idx on public.invitations (invited_by);
create index invitations_accepted_by_idx on public.invitations (accepted_by);
alter table public.invitations enable row level security;

comment on table public.invitations is 'A place in a project for whoever proves that an address is theirs.';
comment on column public.invitations.id is 'Its id; events name it by this.';
comment on column public.invitations.project_id is 'The project.';
comment on column public.invitations.sequence is 'The number of its event in the project: whoever was removed later cannot come back with it.';
comment on column public.invitations.email is 'The invited e-mail address, in lower case; or null.';
comment on column public.invitations.github_login is 'The invited GitHub login, in lower case; or null.';
comment on column public.invitations.role is 'What the person becomes.';
comment on column public.invitations.invited_by is 'The owner who made it. It ends when they are an owner no longer.';
comment on column public.invitations.created_at is 'When it was made.';
comment on column public.invitations.expires_at is 'Until when it can be accepted: 14 days.';
comment on column public.invitations.outcome is 'How it ended, or null.';
comment on column public.invitations.closed_at is 'When it ended, or null.';
comment on column public.invitations.accepted_by is 'Who accepted it. Who declined is not kept: it would say whose the address is.';

-- Somebody's removals are looked up in a project's events, of which there may be millions.
create index events_removals_idx on public.events (project_id, (payload ->> 'person'), sequence) where kind = 'member.removed';

-- Whom they are for ------------------------------------------------------------------------------

-- A login can be given up and taken by somebody else, and Auth hears of it only when people sign in: so GitHub must
-- have named the account within 30 days.
create function private.addressed_to_me()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
  select i.id from auth.users u
  join public.invitations i on i.email = lower(u.email collate "C")
  where u.id = (select private.caller()) and u.email_confirmed_at is not null and u.deleted_at is null
  union
  select i.id from auth.identities n
  join public.invitations i on i.github_login = lower((n.identity_data ->> 'user_name') collate "C")
  where n.user_id = (select private.caller()) and n.provider = 'github'
    and greatest(n.last_sign_in_at, n.updated_at) > now() - interval '30 days'
$$;
comment on function private.addressed_to_me is 'The invitations, in whatever state, to an address that is proven to be the caller''s.';

-- The reasons that make an invitation void although nobody closed it.
create function private.is_void(invitation public.invitations, person uuid)
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select invitation.expires_at <= clock_timestamp()
    or not exists (
      select from public.members m join public.profiles p on p.id = m.user_id
      where m.project_id = invitation.project_id and m.user_id = invitation.invited_by
        and m.role = 'owner' and p.account_deleted_at is null)
    -- Whoever is sent away stays away until they are invited again.
    or exists (
      select from public.events e
      where e.kind = 'member.removed' and e.project_id = invitation.project_id
        and e.payload ->> 'person' = person::text and e.sequence > invitation.sequence)
$$;
comment on function private.is_void is
  'Whether an open invitation leads nowhere for a person: it is expired, its owner is none any more, or the person was removed after it was made.';

create function private.my_invitations()
returns setof uuid
language sql stable security definer
set search_path = ''
as $$
  select i.id from public.invitations i
  where i.id in (select private.addressed_to_me()) and i.outcome is null
    and not private.is_void(i, (select private.caller()))
$$;
comment on function private.my_invitations is 'The invitations that the caller can accept or decline.';
grant execute on function private.my_invitations to authenticated;

create policy "owners and the invited read invitations" on public.invitations
  for select to authenticated using (
    (project_id = any (array(select m.project_id from private.my_memberships m where m.role = 'owner'))) is true
    or id in (select private.my_invitations()));
revoke all on public.invitations from anon, authenticated, service_role;
grant select on public.invitations to authenticated, service_role;

create view public.invitation_details with (security_invoker = true) as
  select i.id, i.project_id as project, i.sequence, i.email, i.github_login, i.role,
         case when i.outcome is not null then i.outcome::text when i.expires_at <= now() then 'expired' else 'pending' end as state,
         to_jsonb(b) as invited_by, to_jsonb(a) as accepted_by, i.created_at, i.expires_at, i.closed_at
  from public.invitations i
  left join public.people b on b.id = i.invited_by
  left join public.people a on a.id = i.accepted_by;
comment on view public.invitation_details is 'Invitations with who made and who accepted them.';
revoke all on public.invitation_details from anon, authenticated, service_role;
grant select on public.invitation_details to authenticated;

-- Owners ------------------------------------------------------------------------------------------

create function private.create_invitation(project uuid, email text, github_login text, role public.member_role)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.projects := private.lock_project(project, 'owner');
  address text collate "C" := lower(btrim(create_invitation.email) collate "C");
  login text collate "C" := lower(ltrim(btrim(create_invitation.github_login), '@') collate "C");
  made uuid;
begin
  if num_nonnulls(address, login) <> 1 then
    perform private.fail(422, 'bad_invitee', 'Name an e-mail address or a GitHub login, one of the two.');
  end if;
  -- A member's GitHub login is there for all members to see. Whether an address is a member's is not told.
  if exists (
    select from public.members m join public.profiles p on p.id = m.user_id
    where m.project_id = project and lower(p.github_login collate "C") = login) then
    perform private.fail(409, 'already_member', 'Somebody with that GitHub login is a member already. Change their role instead.');
  end if;
  update public.invitations i set outcome = 'replaced', closed_at = clock_timestamp()
  where i.project_id = project and i.outcome is null and (i.email = address or i.github_login = login);
  if (select count(*) from public.invitations i
      where i.project_id = project and i.outcome is null and i.expires_at > now()) >= 200 then
    perform private.fail(409, 'too_many_invitations',
      'There are 200 open invitations to this project already. Revoke some, or wait for their answers.');
  end if;
  begin
    insert into public.invitations (project_id, sequence, email, github_login, role, invited_by)
    values (project, held.event_sequence + 1, address, login, create_invitation.role, auth.uid())
    returning id into made;
  exception when check_violation then
    perform private.fail(422, 'bad_invitee', 'That is no e-mail address, or no GitHub login.');
  end;
  perform private.add_event(project, 'invitation.added',
    jsonb_build_object('invitation', made, 'role', create_invitation.role));
  return made;
end
$$;
comment on function private.create_invitation is 'Invites an address, in place of an open invitation that it has; owners only.';
grant execute on function private.create_invitation to authenticated;

create function private.close_invitation(invitation uuid, outcome public.invitation_outcome, accepted_by uuid default null)
returns void
language sql
set search_path = ''
as $$
  update public.invitations i
  set outcome = close_invitation.outcome, closed_at = clock_timestamp(), accepted_by = close_invitation.accepted_by
  where i.id = invitation
$$;
comment on function private.close_invitation is 'Ends an invitation. Its caller holds the project''s lock.';

create function private.over(invitation public.invitations)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.fail(410, 'invitation_over', 'This invitation has ended. Ask an owner of the project for a new one.',
    jsonb_build_object('state', coalesce(invitation.outcome::text,
      case when invitation.expires_at <= now() then 'expired' else 'revoked' end)));
end
$$;
comment on function private.over is 'Refuses what an ended invitation was to be used for.';

create function private.revoke_invitation(project uuid, invitation uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  found_one public.invitations;
begin
  perform private.lock_project(project, 'owner', even_archived => true);
  select * into found_one from public.invitations i where i.id = invitation and i.project_id = project;
  if found_one.id is null then
    perform private.fail(404, 'invitation_not_found', 'There is no such invitation.');
  elsif found_one.outcome = 'revoked' then
    return;
  elsif found_one.outcome is not null then
    perform private.over(found_one);
  end if;
  perform private.close_invitation(invitation, 'revoked');
  perform private.add_event(project, 'invitation.revoked', jsonb_build_object('invitation', invitation));
end
$$;
comment on function private.revoke_invitation is 'Takes an open invitation back; owners only.';
grant execute on function private.revoke_invitation to authenticated;

-- An owner who is one no longer leaves no way in behind. Runs under the project's lock, as all that changes members.
create function private.end_invitations()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  each_one uuid;
begin
  for each_one in
    select i.id from public.invitations i
    where i.project_id = old.project_id and i.invited_by = old.user_id and i.outcome is null order by i.sequence
  loop
    perform private.close_invitation(each_one, 'revoked');
    perform private.add_event(old.project_id, 'invitation.revoked', jsonb_build_object('invitation', each_one));
  end loop;
  return null;
end
$$;
comment on function private.end_invitations is 'Ends the open invitations of somebody who is an owner no longer.';
create trigger end_invitations_of_former_members after delete on public.members
  for each row when (old.role = 'owner') execute function private.end_invitations();
create trigger end_invitations_of_former_owners after update of role on public.members
  for each row when (old.role = 'owner' and new.role <> 'owner') execute function private.end_invitations();

-- The invited -------------------------------------------------------------------------------------

-- They are strangers to the project and its people: this tells what they need to decide, and no more.
create function private.my_invitation_answers(seen_at timestamptz, seen_id uuid, page_size integer)
returns jsonb
language sql stable security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'id', i.id, 'project', jsonb_build_object('id', p.id, 'slug', p.slug, 'name', p.name),
      'role', i.role, 'email', i.email, 'github_login', i.github_login,
      'invited_by', jsonb_build_object('id', b.id, 'handle', b.handle, 'name', b.display_name, 'avatar_url', b.avatar_url,
                                       'github_login', b.github_login),
      'created_at', i.created_at, 'expires_at', i.expires_at) order by i.created_at desc, i.id), '[]')
  from (select * from public.invitations i
        where i.id in (select private.my_invitations())
          and (i.created_at < seen_at or i.created_at = seen_at and i.id > seen_id)
        order by i.created_at desc, i.id limit private.page_rows(page_size)) i
  join public.projects p on p.id = i.project_id
  join public.profiles b on b.id = i.invited_by
$$;
comment on function private.my_invitation_answers is 'The caller''s open invitations, newest first, with project and inviter.';
grant execute on function private.my_invitation_answers to authenticated;

-- An invitation to the caller, with its project locked. Somebody else's answers like one that was made up.
create function private.lock_invitation(invitation uuid)
returns public.invitations
language plpgsql security definer
set search_path = ''
as $$
declare
  home uuid;
  held public.invitations;
begin
  if private.caller() is null then
    perform private.fail(403, 'no_profile', 'This account has no profile, so it cannot join a project.');
  end if;
  select i.project_id into home from public.invitations i
  where i.id = invitation and i.id in (select private.addressed_to_me());
  if home is null then
    perform private.fail(404, 'invitation_not_found',
      'There is no such invitation, or it is for somebody else. GET /v1/me/invitations lists yours.');
  end if;
  perform from public.projects p where p.id = home for no key update;
  select * into held from public.invitations i where i.id = invitation;  -- anew: it may have ended while this waited
  return held;
end
$$;
comment on function private.lock_invitation is 'An invitation to the caller, in whatever state, under its project''s lock; 404 when there is none.';

create function private.accept_invitation(invitation uuid)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.invitations := private.lock_invitation(invitation);
  person uuid := private.caller();
  present public.member_role;
begin
  select m.role into present from public.members m where m.project_id = held.project_id and m.user_id = person;
  if held.outcome = 'accepted' and held.accepted_by = person and present is not null then
    return held.project_id;  -- a repeat: the answer was lost
  elsif held.outcome is not null or private.is_void(held, person) then
    perform private.over(held);
  elsif held.github_login is not null and exists (
    -- The login has gone to somebody else, who signed in with it since.
    select from auth.identities mine join auth.identities other on other.provider = 'github' and other.user_id <> mine.user_id
    where mine.user_id = person and mine.provider = 'github'
      and lower((mine.identity_data ->> 'user_name') collate "C") = held.github_login
      and lower((other.identity_data ->> 'user_name') collate "C") = held.github_login
      and greatest(other.last_sign_in_at, other.updated_at) >= greatest(mine.last_sign_in_at, mine.updated_at)) then
    perform private.fail(404, 'invitation_not_found',
      'There is no such invitation, or it is for somebody else. GET /v1/me/invitations lists yours.');
  end if;
  perform private.refuse_archived(p.archived_at) from public.projects p where p.id = held.project_id;
  perform private.close_invitation(invitation, 'accepted', person);
  perform private.add_event(held.project_id, 'invitation.accepted', jsonb_build_object('invitation', invitation, 'person', person));
  -- A member's role is the owners' last word on it: an older invitation raises nobody, and lowers nobody.
  if present is null then
    insert into public.members (user_id, project_id, role, added_by)
    values (person, held.project_id, held.role, held.invited_by);
    perform private.add_event(held.project_id, 'member.added',
      jsonb_build_object('person', person, 'role', held.role, 'before', null, 'invitation', invitation));
  end if;
  return held.project_id;
end
$$;
comment on function private.accept_invitation is 'Makes the invited caller a member, and gives the project''s id. Somebody who is a member keeps their role.';
grant execute on function private.accept_invitation to authenticated;

create function private.decline_invitation(invitation uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.invitations := private.lock_invitation(invitation);
  upcoming bigint;
begin
  if held.outcome = 'declined' then
    return;
  elsif held.outcome is not null or private.is_void(held, private.caller()) then
    perform private.over(held);
  end if;
  perform private.close_invitation(invitation, 'declined');
  -- Without its actor, unlike every other event: the project is not to learn whose address it was.
  update public.projects p set event_sequence = p.event_sequence + 1 where p.id = held.project_id
  returning p.event_sequence into upcoming;
  insert into public.events (project_id, sequence, kind, payload)
  values (held.project_id, upcoming, 'invitation.declined', jsonb_build_object('invitation', invitation));
end
$$;
comment on function private.decline_invitation is 'Turns an invitation down. The project is told that, and not by whom.';
grant execute on function private.decline_invitation to authenticated;

-- What callers call -------------------------------------------------------------------------------

create function public.create_invitation(project text, role public.member_role, email text default null, github_login text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  made uuid := private.create_invitation(private.project_id(project), email, github_login, role);
begin
  return (select to_jsonb(d) from public.invitation_details d where d.id = made);
end
$$;
comment on function public.create_invitation is 'Invites whoever has an e-mail address or a GitHub login; for owners.';
revoke execute on function public.create_invitation from public, anon, service_role;
grant execute on function public.create_invitation to authenticated;

create function public.list_invitations(project text, ended boolean default false, before bigint default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  perform private.require_role(target, 'owner');
  return (select coalesce(jsonb_agg(to_jsonb(d) order by d.sequence desc), '[]') from (
    select * from public.invitation_details d
    where d.project = target and (ended or d.state = 'pending') and (before is null or d.sequence < before)
    order by d.sequence desc limit private.page_rows(page_size)) d);
end
$$;
comment on function public.list_invitations is 'A project''s open invitations, or those that ended as well, newest first; for owners.';
revoke execute on function public.list_invitations from public, anon, service_role;
grant execute on function public.list_invitations to authenticated;

create function public.revoke_invitation(project text, invitation uuid)
returns void
language sql
set search_path = ''
as $$ select private.revoke_invitation(private.project_id(project), invitation) $$;
comment on function public.revoke_invitation is 'Takes an open invitation back; for owners.';
revoke execute on function public.revoke_invitation from public, anon, service_role;
grant execute on function public.revoke_invitation to authenticated;

create function public.list_my_invitations(after text default null, page_size integer default 50)
returns jsonb
language sql stable
set search_path = ''
as $$
  select private.my_invitation_answers(
    case when after is null then 'infinity' else private.moment_or_null(split_part(after, ' ', 1)) end,
    private.uuid_or_null(split_part(after, ' ', 2)), page_size)
$$;
comment on function public.list_my_invitations is
  'The caller''s open invitations, newest first; after is "created_at id" of the last one seen.';
revoke execute on function public.list_my_invitations from public, anon, service_role;
grant execute on function public.list_my_invitations to authenticated;

create function public.accept_invitation(invitation uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  home uuid := private.accept_invitation(invitation);
begin
  return public.read_project(home::text);
end
$$;
comment on function public.accept_invitation is 'Takes an invitation up: the caller becomes a member of its project, which is the answer.';
revoke execute on function public.accept_invitation from public, anon, service_role;
grant execute on function public.accept_invitation to authenticated;

create function public.decline_invitation(invitation uuid)
returns void
language sql
set search_path = ''
as $$ select private.decline_invitation(invitation) $$;
comment on function public.decline_invitation is 'Turns an invitation down.';
revoke execute on function public.decline_invitation from public, anon, service_role;
grant execute on function public.decline_invitation to authenticated;

-- Signed links ------------------------------------------------------------------------------------

-- A signed link works for whoever has it until its own end, which its maker chooses: a member could make links for
-- years and take them along. Nothing of Verso needs them, so Storage gives none to members, for reading or writing.
-- The server says what it is doing in `storage.operation`; newer ones leave the prefix out.
create policy "no signed links to documents" on storage.objects as restrictive
  for select to authenticated using (
    bucket_id <> 'documents'
    or (select coalesce(current_setting('storage.operation', true), '') !~ '^(storage\.)?object\.sign'));
create policy "no signed uploads of documents" on storage.objects as restrictive
  for insert to authenticated with check (
    bucket_id <> 'documents'
    or (select coalesce(current_setting('storage.operation', true), '') !~ '^(storage\.)?object\.sign'));

revoke execute on all functions in schema private from public;
