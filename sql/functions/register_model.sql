-- What the release before this one calls: see register_model_version.
create or replace function register_model(version text, batch text, model_uri text, model_sha256 text, cutoff timestamptz, model_recipe jsonb)
returns void
language plpgsql security definer set search_path from current
as $$
begin
    insert into models (model_version, batch_id, uri, sha256, data_cutoff, recipe)
    values (version, batch, model_uri, model_sha256, cutoff, model_recipe)
    on conflict (model_version) do nothing;
    if not exists (select from models as m where m.model_version = version and m.sha256 = model_sha256) then
        raise exception 'model version % in % is another model', version, current_schema() using errcode = 'RJ065';
    end if;
end
$$;
comment on function register_model is 'Note a model version, not yet in charge, with the hash its file must have';
revoke all on function register_model from public;
