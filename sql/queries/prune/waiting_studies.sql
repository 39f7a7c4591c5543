-- A row is one search whose best recipe waits for a night.
select c.study_id from challenger_records as c where c.state = 'waiting'
