from_torch=to_state_dict=to_torch = None
