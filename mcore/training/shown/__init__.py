"""What people see of a training: progress, logs, pictures, a report."""
