"""mpsbridge beside what people use today, on the same make-believe hosts and in the same session."""
