"""Installed with labkit: a kernel that was restarted says which cells to run (labs only)."""

c = get_config()  # noqa: F821
c.InteractiveShellApp.extensions.append("labkit.checks.restart")
