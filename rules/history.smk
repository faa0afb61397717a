# The lists of runs beside the pages. No job: the main process writes them after a run, outside the byte identity (contract 8).
# A dry run, a run with nothing to do and `--unlock` come to no hook; `--touch` ran nothing, so it is left out here; job
# processes get `--no-hooks`. After an error the pages that were finished have their line, too.


def note_run():
    """A line for each page that changed."""
    if workflow.is_main_process and not workflow.touch:
        # loads what draws pages: not before the graph is built
        from osteorad.reporting.history_run import after_run

        after_run(PLAN)


onsuccess:
    note_run()


onerror:
    note_run()
