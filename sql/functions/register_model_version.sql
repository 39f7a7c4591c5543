-- A model is its batch and its hash. The version asked for is MLflow's number, a label: MLflow counts from 1 again once its
-- database or its registry is lost.
create or replace function register_model_version(version text, batch text, model_uri text, model_sha256 text, cutoff timestamptz, model_recipe jsonb)
returns text
language plpgsql security definer set search_path from current
as $$
declare
    registered text;
begin
    select m.model_version into registered from models as m where m.batch_id = batch and m.sha256 = model_sha256
    order by m.registered_at desc limit 1;
    if found then
        return registered;
    end if;
    foreach registered in array array[version, version || '-' || left(model_sha256, 8), version || '-' || batch || '-' || left(model_sha256, 8)] loop
        insert into models (model_version, batch_id, uri, sha256, data_cutoff, recipe)
        values (registered, batch, model_uri, model_sha256, cutoff, model_recipe)
        on conflict (model_version) do nothing;
        if exists (select from models as m where m.model_version = registered and m.batch_id = batch and m.sha256 = model_sha256) then
            return registered;
        end if;
    end loop;
    raise exception 'model version % is taken, and so is %', version, registered;
end
$$;
comment on function register_model_version is 'Note a model, not yet in charge, with the hash its file must have; returns its version: the one asked for, unless that is another model''s already';
revoke all on function register_model_version from public;
