-- No row: a night's report is another.
update report_records set html = %(html)s where batch_id = %(batch_id)s
