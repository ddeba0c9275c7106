-- People. A profile is what history shows of an account, and outlives it: when the account is
-- deleted its versions still need a name, so there is no foreign key from here to auth.users.

create table public.profiles (
  id uuid primary key,
  handle text not null
    constraint profiles_handle_form check (handle ~ '^[a-z0-9]([a-z0-9_.-]{0,38}[a-z0-9])?$')
    -- People are named by handle or id: a handle that looks like an id could be somebody else's.
    constraint profiles_handle_is_no_id
      check (handle !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
  display_name text not null
    constraint profiles_display_name_length check (char_length(display_name) between 1 and 200)
    constraint profiles_display_name_control check (display_name !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  avatar_url text
    constraint profiles_avatar_url_form check (avatar_url ~ '^https://[!-~]+$' and char_length(avatar_url) <= 2000),
  github_login text
    constraint profiles_github_login_form check (github_login ~ '^[A-Za-z0-9-]{1,39}$'),
  created_at timestamptz not null default now(),
  account_deleted_at timestamptz
);
create unique index profiles_handle_key on public.profiles (handle);
alter table public.profiles enable row level security;

comment on table public.profiles is 'What history shows of an account. Outlives the account.';
comment on column public.profiles.id is 'auth.users.id of the account.';
comment on column public.profiles.handle is 'Unique short name, lower case; others add this person to projects by it.';
comment on column public.profiles.display_name is 'The name that history shows.';
comment on column public.profiles.avatar_url is 'An https address, or null.';
comment on column public.profiles.github_login is 'Set only from a GitHub sign-in, never from what the user wrote.';
comment on column public.profiles.created_at is 'When the account was first seen.';
comment on column public.profiles.account_deleted_at is 'When the account was deleted, or null.';

revoke all on public.profiles from anon, authenticated, service_role;
grant select on public.profiles to authenticated, service_role;

-- The first free handle like the wanted one. The caller's insert retries on a race.
create function private.free_handle(wanted text)
returns text
language plpgsql
set search_path = ''
as $$
declare
  stem text := left(btrim(regexp_replace(lower(coalesce(wanted, '')), '[^a-z0-9_.-]+', '-', 'g'), '_.-'), 30);
  candidate text;
begin
  stem := btrim(stem, '_.-');
  if stem = '' then stem := 'user'; end if;
  candidate := stem;
  while exists (select from public.profiles where handle = candidate) loop
    candidate := stem || '-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 6);
  end loop;
  return candidate;
end
$$;
comment on function private.free_handle is 'A free handle like the wanted one.';

-- user_metadata is written by the user: good enough for a name, never for a right or an identity.
create function private.add_profile(account uuid, email text, app_metadata jsonb, user_metadata jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  by_github boolean := coalesce(app_metadata ->> 'provider', '') = 'github';
  login text := case when by_github then user_metadata ->> 'user_name' end;
  shown text := left(btrim(regexp_replace(coalesce(
    user_metadata ->> 'full_name', user_metadata ->> 'name', login, split_part(email, '@', 1), ''),
    '[\u0001-\u001f\u007f-\u009f\u2028\u2029]+', ' ', 'g')), 200);
  avatar text := user_metadata ->> 'avatar_url';
begin
  insert into public.profiles (id, handle, display_name, avatar_url, github_login)
  values (
    account,
    private.free_handle(coalesce(login, user_metadata ->> 'handle', split_part(email, '@', 1))),
    coalesce(nullif(shown, ''), 'Someone'),
    case when avatar ~ '^https://[!-~]+$' and char_length(avatar) <= 2000 then avatar end,
    case when login ~ '^[A-Za-z0-9-]{1,39}$' then login end
  )
  on conflict do nothing;
  -- Two sign-ups raced for one handle: the loser takes one that nobody can want.
  insert into public.profiles (id, handle, display_name)
  values (account, 'user-' || substr(replace(account::text, '-', ''), 1, 16), coalesce(nullif(shown, ''), 'Someone'))
  on conflict do nothing;
end
$$;
comment on function private.add_profile is 'Makes the profile of an account, if it has none.';

create function private.follow_account()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    update public.profiles set account_deleted_at = now() where id = old.id;
    return old;
  elsif tg_op = 'UPDATE' then
    -- Auth's soft delete keeps the row and sets deleted_at.
    update public.profiles set account_deleted_at = new.deleted_at where id = new.id;
    return new;
  end if;
  perform private.add_profile(new.id, new.email, new.raw_app_meta_data, new.raw_user_meta_data);
  return new;
end
$$;
comment on function private.follow_account is 'Keeps profiles in step with auth.users.';

create trigger verso_follow_account
  after insert or delete or update of deleted_at on auth.users
  for each row execute function private.follow_account();

-- Accounts that were there before Verso.
select private.add_profile(id, email, raw_app_meta_data, raw_user_meta_data) from auth.users order by created_at;

revoke execute on all functions in schema private from public;
