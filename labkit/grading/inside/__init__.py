"""What runs inside the sandbox, next to a student's code: nothing here may be trusted or secret."""
