-- No row of use: the report is where the web app finds it.
select record_report(%(batch_id)s, %(html)s)
