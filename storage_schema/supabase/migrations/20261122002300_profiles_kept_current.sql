-- Profiles stay current: what GitHub says of somebody is followed at every sign-in, and people name themselves.
--
-- Auth writes what a provider says into auth.identities, which nobody can write who is signed in;
-- user_metadata, which says the same at first, they can. So the GitHub login comes from there alone.
-- A name or picture follows GitHub until the person chose another one; a handle never follows anything,
-- because others know the person by it.

create function private.shown_name(given text)
returns text
language sql immutable
set search_path = ''
as $$
  select nullif(left(btrim(regexp_replace(coalesce(given, ''), '[\u0001-\u001f\u007f-\u009f\u2028\u2029]+', ' ', 'g')), 200), '')
$$;
comment on function private.shown_name is 'A name as profiles take it, or null when nothing is left of it.';

create function private.shown_avatar(given text)
returns text
language sql immutable
set search_path = ''
as $$
  select given where given ~ '^https://[!-~]+$' and char_length(given) <= 2000
$$;
comment on function private.shown_avatar is 'An address of a picture as profiles take it, or null.';

-- A sign-in must never fail because of what GitHub says, so what doesn't fit is left out.
create function private.follow_github(account uuid, before jsonb, now_said jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  login text := now_said ->> 'user_name';
  old_name text := private.shown_name(coalesce(before ->> 'full_name', before ->> 'name', before ->> 'user_name'));
  new_name text := private.shown_name(coalesce(now_said ->> 'full_name', now_said ->> 'name', login));
  old_avatar text := private.shown_avatar(before ->> 'avatar_url');
  new_avatar text := private.shown_avatar(now_said ->> 'avatar_url');
begin
  if login !~ '^[A-Za-z0-9-]{1,39}$' then login := null; end if;
  -- Somebody else may have taken a login that its owner gave up: the newest proof counts.
  update public.profiles p set github_login = null
  where login is not null and p.id <> account and lower(p.github_login) = lower(login);
  update public.profiles p set
    github_login = login,
    display_name = case when p.display_name = coalesce(old_name, 'Someone') then coalesce(new_name, p.display_name) else p.display_name end,
    avatar_url = case when p.avatar_url is not distinct from old_avatar then new_avatar else p.avatar_url end
  where p.id = account;
end
$$;
comment on function private.follow_github is 'Brings a profile up to what GitHub says now, where it still says what GitHub said before.';
create index profiles_github_login on public.profiles (lower(github_login)) where github_login is not null;

create function private.follow_identity()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    update public.profiles p set github_login = null
    where p.id = old.user_id
      and not exists (select from auth.identities i where i.user_id = old.user_id and i.provider = 'github');
    return old;
  end if;
  perform private.follow_github(new.user_id, case when tg_op = 'UPDATE' then old.identity_data end, new.identity_data);
  return new;
end
$$;
comment on function private.follow_identity is 'Keeps profiles in step with what GitHub says at each sign-in.';

create trigger verso_follow_new_identity
  after insert on auth.identities
  for each row when (new.provider = 'github')
  execute function private.follow_identity();
create trigger verso_follow_identity
  after update of identity_data on auth.identities
  for each row when (new.provider = 'github' and new.identity_data is distinct from old.identity_data)
  execute function private.follow_identity();
create trigger verso_follow_lost_identity
  after delete on auth.identities
  for each row when (old.provider = 'github')
  execute function private.follow_identity();

-- Sign-ins that were there before.
select private.follow_github(i.user_id, i.identity_data, i.identity_data)
from auth.identities i where i.provider = 'github' order by i.last_sign_in_at nulls first;

create function private.update_me(edit jsonb)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  me uuid := private.caller();
  wanted_handle text := edit ->> 'handle';
  wanted_name text := edit ->> 'name';
  avatar text := edit ->> 'avatar_url';
begin
  if me is null then
    perform private.fail(403, 'no_profile', 'This account has no profile that could be changed.');
  end if;
  if jsonb_typeof(edit) is distinct from 'object' or edit - array['handle', 'name', 'avatar_url'] <> '{}' then
    perform private.fail(422, 'bad_value', 'Of a profile its handle, name and avatar_url can be changed.');
  end if;
  if edit ? 'handle' and (wanted_handle is null or wanted_handle !~ '^[a-z0-9]([a-z0-9_.-]{0,38}[a-z0-9])?$'
                          or private.uuid_or_null(wanted_handle) is not null) then
    perform private.fail(422, 'bad_value', 'A handle is 1 to 40 of a-z 0-9 . _ -, starts and ends with a letter or digit, and is no id.');
  end if;
  if edit ? 'name' and (wanted_name is null or char_length(wanted_name) > 200 or private.shown_name(wanted_name) is distinct from wanted_name) then
    perform private.fail(422, 'bad_value', 'A name has 1 to 200 characters, none of them a control character, and no blanks around it.');
  end if;
  if avatar is not null and private.shown_avatar(avatar) is null then
    perform private.fail(422, 'bad_value', 'An avatar is an https address of at most 2000 ASCII characters, or null.');
  end if;
  begin
    update public.profiles p set
      handle = case when edit ? 'handle' then wanted_handle else p.handle end,
      display_name = case when edit ? 'name' then wanted_name else p.display_name end,
      avatar_url = case when edit ? 'avatar_url' then avatar else p.avatar_url end
    where p.id = me;
  exception when unique_violation then
    perform private.fail(409, 'handle_taken', format('Somebody has the handle %s. Choose another one.', wanted_handle));
  end;
end
$$;
comment on function private.update_me is 'Changes the caller''s own profile.';
grant execute on function private.update_me to authenticated;

create function public.update_me(edit jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  perform private.update_me(edit);
  return public.me();
end
$$;
comment on function public.update_me is
  'Changes handle, name or avatar_url of the caller''s profile; what is left out stays, avatar_url null takes it away. Answers as me().';
revoke execute on function public.update_me from public, anon, service_role;
grant execute on function public.update_me to authenticated;

revoke execute on all functions in schema private from public;
