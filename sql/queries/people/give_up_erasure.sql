-- No row: an erasure that has changed nothing yet is not begun; the person stays left out.
delete from open_erasures where person = %(person)s and not tables_done
