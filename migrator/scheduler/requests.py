"""Begins operations: the one door through which a wish (from any API) becomes a row of the table.

Owns the rules of who may begin what in which state. Never advances an operation (the reconciler does) and never
talks HTTP. Every function is one short transaction and raises a child of ``MigratorError``:
``InstanceNotFound``, ``Conflict`` (wrong state; Nova's wording), ``InstanceBusy`` (another operation is active).
"""
