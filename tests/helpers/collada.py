"""A COLLADA file with most of what the importer reads, in centimetres and with z up."""

TEXTURED_TABLE = """<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit name="centimeter" meter="0.01"/><up_axis>Z_UP</up_axis></asset>
<library_images><image id="i"><init_from>picture.png</init_from></image></library_images>
<library_effects><effect id="e"><profile_COMMON>
<newparam sid="s"><surface type="2D"><init_from>i</init_from></surface></newparam>
<newparam sid="t"><sampler2D><source>s</source></sampler2D></newparam>
<technique sid="c"><lambert><diffuse><texture texture="t" texcoord="UV"/></diffuse></lambert></technique>
</profile_COMMON></effect></library_effects>
<library_materials><material id="m" name="wood"><instance_effect url="#e"/></material></library_materials>
<library_geometries><geometry id="Table-mesh"><mesh>
<source id="p"><float_array id="pa" count="12">0 0 0 200 0 0 200 300 0 0 300 0</float_array><technique_common>
<accessor source="#pa" count="4" stride="3"><param name="X" type="float"/><param name="Y" type="float"/>
<param name="Z" type="float"/></accessor></technique_common></source>
<source id="u"><float_array id="ua" count="6">0 0 1 0 1 1</float_array><technique_common>
<accessor source="#ua" count="3" stride="2"><param name="S" type="float"/><param name="T" type="float"/></accessor>
</technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles count="1" material="m"><input semantic="VERTEX" source="#v" offset="0"/>
<input semantic="TEXCOORD" source="#u" offset="1"/><p>0 0 1 1 2 2</p></triangles>
<polylist count="1" material="m"><input semantic="VERTEX" source="#v" offset="0"/>
<vcount>4</vcount><p>0 1 2 3</p></polylist>
</mesh></geometry></library_geometries>
<library_nodes><node id="n"><matrix>1 0 0 0 0 1 0 0 0 0 1 50 0 0 0 1</matrix>
<instance_geometry url="#Table-mesh"/></node></library_nodes>
<library_visual_scenes><visual_scene id="s"><node id="Table" name="Table"><translate>1 2 3</translate>
<rotate>0 0 1 90</rotate><scale>1 1 1</scale><instance_geometry url="#Table-mesh"><bind_material><technique_common>
<instance_material symbol="m" target="#m"/></technique_common></bind_material></instance_geometry>
<instance_node url="#n"/></node></visual_scene></library_visual_scenes>
<scene><instance_visual_scene url="#s"/></scene></COLLADA>
"""
