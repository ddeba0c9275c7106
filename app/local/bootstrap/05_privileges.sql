-- What is open and what isn't. New objects in `public` are granted to every API role by default, as on projects that
-- were made before these defaults were tightened: a migration that relies on the default is caught here, not there.

create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;
grant all on schema extensions to dashboard_user;

grant usage on schema public to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on sequences to anon, authenticated, service_role;

-- A hosted project lets `postgres` make policies on tables of these schemas and drop triggers from them (and nothing
-- else that takes an owner), by an extension that isn't in the wheel. Here the role is a member of the owners for the
-- length of such a statement: granted when it starts, revoked when it ends, rolled back with it when it fails; no other
-- transaction ever sees the membership.
create function _embedded.lend_ownership() returns event_trigger
language plpgsql security definer set search_path = '' as $$
begin
    grant supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin to postgres;
end
$$;
create function _embedded.return_ownership() returns event_trigger
language plpgsql security definer set search_path = '' as $$
begin
    revoke supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin from postgres;
end
$$;
create event trigger lend_ownership on ddl_command_start
    when tag in ('CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'DROP TRIGGER')
    execute function _embedded.lend_ownership();
create event trigger return_ownership on ddl_command_end
    when tag in ('CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'DROP TRIGGER')
    execute function _embedded.return_ownership();
