"""What Alembic runs: the steps, on the connection that it is given, in its transaction."""

from alembic import context

from services.recorder.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
