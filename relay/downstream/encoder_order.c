/*
 * encoder_order: the tip first, then fairness.
 */
#include "downstream/encoder_order.h"

bool encoder_task_is_near(const struct encoder_task *task)
{
	return task->is_awaited && task->end <= task->position + ENCODER_TIP_BYTES;
}

bool encoder_task_is_small(const struct encoder_task *task)
{
	return task->end <= task->position + ENCODER_SMALL_BYTES;
}

bool encoder_task_overtakes(const struct encoder_task *second, const struct encoder_task *first)
{
	bool is_near = encoder_task_is_near(second);
	if (is_near != encoder_task_is_near(first)) {
		return is_near;
	}
	if (is_near) {
		return second->position > first->position;
	}
	if (second->has_begun != first->has_begun) {
		return second->has_begun;
	}
	return second->is_awaited && !first->is_awaited;
}
