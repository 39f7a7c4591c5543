create or replace function record_night(batch text, promotion jsonb, metrics jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    delete from promotion_records where batch_id = batch;
    delete from evaluation_records where batch_id = batch;
    insert into promotion_records select * from jsonb_populate_record(null::promotion_records, promotion || jsonb_build_object('batch_id', batch));
    insert into evaluation_records
    select (jsonb_populate_record(null::evaluation_records, e || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(metrics) as e;
end
$$;
comment on function record_night is 'Store a night''s verdict and metrics, whether it made a batch or left the live one where it was';
revoke all on function record_night from public;
