"""Why a model server does not come up, recognised from what it left behind. Pure; both engines use it."""
