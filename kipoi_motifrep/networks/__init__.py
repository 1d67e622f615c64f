"""Networks: opening a model, where it reads DNA and in which axis order, its activations, Kipoi's model class.

Nothing is imported here: Kipoi's model class is loaded on every prediction and needs a small part of this room.
"""
