-- An annotation of the pods is counted up: any change of it replaces them, as a rollout, and a count needs no clock.
local pod = obj.spec.pod or {}
local annotations = pod.annotations or {}
annotations.restarts = tostring((tonumber(annotations.restarts or "0") or 0) + 1)
pod.annotations = annotations
obj.spec.pod = pod
return obj
