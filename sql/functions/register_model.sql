create or replace function register_model(version text, batch text, model_uri text, model_sha256 text, cutoff timestamptz, model_recipe jsonb)
returns void
language sql security definer set search_path from current
as $$
    insert into models (model_version, batch_id, uri, sha256, data_cutoff, recipe)
    values (version, batch, model_uri, model_sha256, cutoff, model_recipe)
    on conflict (model_version) do nothing
$$;
comment on function register_model is 'Note a model version, not yet in charge, with the hash its file must have';
revoke all on function register_model from public;
