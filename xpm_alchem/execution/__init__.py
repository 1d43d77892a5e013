"""One DAG in one directory: attempts, fence, interrupts, logs."""
