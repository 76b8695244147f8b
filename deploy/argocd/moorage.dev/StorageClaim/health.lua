-- One script for every kind of moorage.dev: it reads conditions as kstatus does, and tells apart what fails and what is paused.
local status = obj.status or {}
if status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Moorage has not looked at this generation yet"}
end

local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end

local function is_true(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

local ready = found["Ready"] or {}
local health = "Progressing"
if is_true("Reconciling") then
  health = "Progressing"
elseif is_true("Stalled") or is_true("Degraded") then
  health = "Degraded"
elseif ready.reason == "Paused" then
  health = "Suspended"
elseif is_true("Ready") then
  health = "Healthy"
end
return {status = health, message = ready.message or ""}
