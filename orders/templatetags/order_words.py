"""Sentences about orders for templates."""

from django import template

from orders import wording

register = template.Library()

register.filter("sending_sentence", wording.sending_sentence)
register.filter("status_sentence", wording.status_sentence)
register.filter("refusal_sentence", wording.refusal_sentence)
register.filter("outcome_of", wording.outcome_of)
