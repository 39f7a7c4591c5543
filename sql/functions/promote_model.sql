create or replace function promote_model(version text, why text) returns void
language plpgsql security definer set search_path from current
as $$
declare
    in_charge text;
begin
    perform take_turn();
    if not exists (select from models where model_version = version) then
        raise exception 'there is no model version % in %', version, current_schema() using errcode = 'RJ065';
    end if;
    select model_version into in_charge from champion_model where slot = 'champion';
    insert into champion_model (slot, model_version) values ('champion', version)
    on conflict (slot) do update set model_version = excluded.model_version, since = now();
    insert into publish_records (action, model_version, previous_model_version, reason) values ('promote', version, in_charge, why);
end
$$;
comment on function promote_model is 'Put a model version in charge by hand; the live lists stay as they are';
revoke all on function promote_model from public;
