local paused = obj.spec.paused == true

-- A change of the template would end a rollback, and run the release that was left.
local back = obj.spec.rollout ~= nil and obj.spec.rollout.toRevision ~= nil
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  back = back or condition.reason == "RolledBack"
end

return {
  pause = {disabled = paused},
  resume = {disabled = not paused},
  restart = {disabled = paused or back},
}
