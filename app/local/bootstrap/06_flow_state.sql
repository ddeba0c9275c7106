-- Sign-ins under way hold all that the way back needs. Auth used to sign that into `state`; now `state` is the
-- row's id, so that a state works once. Without a code challenge (the implicit flow) there is no code either.

set local role supabase_auth_admin;

alter table auth.flow_state
    alter column auth_code drop not null,
    alter column code_challenge_method drop not null,
    alter column code_challenge drop not null,
    add column invite_token text,
    add column referrer text,
    add column oauth_client_state_id uuid,
    add column linking_target_id uuid,
    add column email_optional boolean not null default false;
comment on table auth.flow_state is 'Stores metadata for all OAuth/SSO login flows';

reset role;
