"""What is to be done, as pure data: scenarios, the files that hold them, and when each operation is due."""
