-- What a night read of the items' and the users' own sources; null for nights of earlier releases.
alter table input_records add column places jsonb;
comment on column input_records.places is 'By items and users: rows read = kept + repeated + without_id, and of each attribute the values missing, understood and not understood';
